"""Answers every request on 127.0.0.1:PORT."""
import http.server
import os
import signal
import sys


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello from python\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def stop(*_):
    print("python ends")
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
port = int(os.environ.get("PORT", "8082"))
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hello)
print("python listens")
server.serve_forever()
