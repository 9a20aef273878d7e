"""What the redis verdict store does in redis itself, each in one step (Lua 5.1, redis 5 or later).

KEYS: the verdict, the claim. Times in milliseconds. Tokens go as text: redis would cut a number.
A claim is a hash of owner, token, ends and length; the rules are those of `leases.py`, by the
clock of redis. Keys of another type, as somebody else may leave them, count as absent.
"""

from __future__ import annotations

_COMMON = """
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function lease()
  local fields = redis.pcall('HMGET', KEYS[2], 'owner', 'token', 'ends', 'length')
  if fields.err then
    redis.call('DEL', KEYS[2])
    return nil
  end
  if not fields[2] then return nil end
  return {owner = fields[1] or '', token = fields[2],
          ends = tonumber(fields[3] or nil) or 0, length = tonumber(fields[4] or nil) or 0}
end
local function belongs(old, owner, token)
  return old.owner == owner and old.token == token
end
local function hold(owner, token, length, remembered)
  redis.call('HSET', KEYS[2], 'owner', owner, 'token', token,
             'ends', string.format('%.0f', now() + length), 'length', length)
  redis.call('PEXPIRE', KEYS[2], length + remembered)
end
local function let_go()
  redis.call('HSET', KEYS[2], 'owner', '')
end
"""

# owner, length, slack, remembered -> token, or nil while another has it
CLAIM = (
    _COMMON
    + """
local owner, length = ARGV[1], tonumber(ARGV[2])
local old, at = lease(), now()
if old and old.owner ~= '' and old.owner ~= owner then
  local left = old.ends - at
  if left > 0 and left <= old.length + tonumber(ARGV[3]) then return nil end
end
local token = at
local last = old and tonumber(old.token)
if last and last + 1 > token then token = last + 1 end
local text = string.format('%.0f', token)
hold(owner, text, length, tonumber(ARGV[4]))
return text
"""
)

# owner, token, length, remembered -> 1 or 0
RENEW = (
    _COMMON
    + """
local old = lease()
if old and not belongs(old, ARGV[1], ARGV[2]) then return 0 end
hold(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
return 1
"""
)

# owner, token, channel, news -> 1 or 0
RELEASE = (
    _COMMON
    + """
local old = lease()
if not old or not belongs(old, ARGV[1], ARGV[2]) then return 0 end
let_go()
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
"""
)

# value, life, time, by hand (0, 1), caller's now, clock slack (these three in seconds),
# channel, news, owner, token ('' without a claim) -> 1 kept, 0 not
PUT = (
    _COMMON
    + """
local function old_verdict()
  local value = redis.pcall('GET', KEYS[1])
  if type(value) ~= 'string' then return nil end
  local ok, old = pcall(cjson.decode, value)
  if ok and type(old) == 'table' and type(old.time) == 'number'
     and type(old.expires) == 'number' then return old end
end
local function replaces(old)
  local at = tonumber(ARGV[5])
  if old.time - tonumber(ARGV[6]) > at or at >= old.expires then return true end
  local old_by_hand, by_hand = type(old.rule) == 'string', ARGV[4] == '1'
  if old_by_hand ~= by_hand then return by_hand end
  return tonumber(ARGV[3]) >= old.time
end
local claimed = lease()
if claimed and ARGV[10] ~= '' and not belongs(claimed, ARGV[9], ARGV[10]) then return 0 end
if claimed then let_go() end
local old, kept = old_verdict(), 0
if not old or replaces(old) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  kept = 1
end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return kept
"""
)

# channel, news -> 1 where there was one
FORGET = """
local there = redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return there
"""
