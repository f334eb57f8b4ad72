"""What leaves the workbench: the web app, the device lab, the bundle, the server."""
