"""How requests come in: gunicorn, with an event loop that receives and threads that answer."""
