"""Local web page for reviewing quarantined files."""
