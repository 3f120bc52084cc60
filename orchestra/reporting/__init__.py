"""The page that a report is: everything that happened in a thread, as one HTML file without anything else to load."""
