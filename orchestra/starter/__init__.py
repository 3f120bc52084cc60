"""What `orchestra new` writes: templates beside this file, and what differs between patterns."""
