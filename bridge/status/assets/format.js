// Numbers, sizes and times as people read them. Pure; times are epoch seconds.
// A number and its unit stay on one line.

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const NB = "\u00a0";
const two = (number) => String(number).padStart(2, "0");

/** `02:13`, or `02:13:20`, in the browser's zone. */
export function clock(time, seconds = false) {
  const date = new Date(time * 1000);
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return seconds ? `${minutes}:${two(date.getSeconds())}` : minutes;
}

/** `29 Nov`, with the year where it is not this year's. */
export function day(time, now = Date.now() / 1000) {
  const date = new Date(time * 1000);
  const year = date.getFullYear();
  const other = year === new Date(now * 1000).getFullYear() ? "" : ` ${year}`;
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${other}`;
}

/** The clock, with the day where it is not today. */
export function moment(time, now, seconds = false) {
  const today = new Date(time * 1000).toDateString() === new Date(now * 1000).toDateString();
  return today ? clock(time, seconds) : `${day(time, now)} ${clock(time, seconds)}`;
}

/** `12 s`, `47 min`, `2 h 13 min`, `3 d 4 h`. */
export function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${NB}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}${NB}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours}${NB}h ${minutes % 60}${NB}min` : `${hours}${NB}h`;
  return hours % 24 ? `${Math.floor(hours / 24)}${NB}d ${hours % 24}${NB}h` : `${hours / 24}${NB}d`;
}

/** `12 s ago`; `never` where there is no time. */
export function ago(time, now) {
  return time === null || time === undefined ? "never" : `${lasting(now - time)} ago`;
}

/** `12,345`. */
export function count(number) {
  return number === null || number === undefined ? "–" : Math.round(number).toLocaleString("en-US");
}

/** `one`, or `12 cases`. */
export function plural(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** `0`, `0.04`, `3.1`, `120`: three digits are enough to judge by. */
export function figure(number) {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  if (size === 0) return "0";
  if (size < 0.095) return number.toFixed(size < 0.0095 ? 3 : 2);
  if (size < 99.5 && number !== Math.round(number)) return number.toFixed(1);
  return count(number);
}

/** `97 %` of a part. */
export function percent(part) {
  return part === null || part === undefined ? "–" : `${figure(100 * part)}${NB}%`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1.2 GiB`. */
export function bytes(number) {
  if (number === null || number === undefined) return "–";
  let unit = 0;
  let value = number;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 99.5 ? +value.toFixed(1) : Math.round(value)}${NB}${UNITS[unit]}`;
}

/** `80 ms`, `0.3 s`, `12 s`, `2 min 5 s`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))}${NB}ms`;
  if (seconds < 9.95) return `${+seconds.toFixed(1)}${NB}s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}${NB}s`;
  if (whole >= 3600) return lasting(whole);
  return whole % 60 ? `${Math.floor(whole / 60)}${NB}min ${whole % 60}${NB}s` : `${whole / 60}${NB}min`;
}

/** A detail with a stop behind it; nothing of nothing. */
export function sentence(text) {
  return text && !/[.!?]$/.test(text) ? `${text}.` : text ?? "";
}

/** Epoch seconds of a time in a record; null where it is none. */
export function parsed(text) {
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time / 1000;
}

/** The browser's zone, as `UTC+3` or `UTC-3:30`. */
export function zone() {
  const minutes = -new Date().getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  const hours = Math.floor(Math.abs(minutes) / 60);
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${rest ? `:${two(rest)}` : ""}`;
}
