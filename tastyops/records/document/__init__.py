"""The log as a document: from public events to one object, and from that to text and Markdown."""
