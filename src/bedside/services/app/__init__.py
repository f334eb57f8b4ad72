"""The web app of a device: its built files, served or exported."""
