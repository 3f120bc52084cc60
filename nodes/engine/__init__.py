"""The rules of the embedded extractive engine: reading requests, ranking quotes, filling schemas, checking drafts."""
