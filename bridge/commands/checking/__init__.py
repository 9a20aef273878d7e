"""What `kata-bridge check` looks at, a module for each area. Nothing here changes anything."""
