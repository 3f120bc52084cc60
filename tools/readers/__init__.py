"""Readers: from the content of a file to sections with headings and places. One kind of file each."""
