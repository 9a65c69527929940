"""A docpipe plug-in that reads QR codes."""
