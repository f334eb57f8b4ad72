"""Programs that listen: the server, the web app, the device lab and the review page."""
