"""What the ICAP door hears and says, for Wireshark: asked for, written in parts, made one file."""
