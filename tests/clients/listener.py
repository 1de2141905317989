"""Listens on a UDP port as the older set player does: listener.py PORT

Says "listening" or why not, counts packets until its input ends, and prints how many came.
"""
import socket
import sys
import threading

listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    listener.bind(("0.0.0.0", int(sys.argv[1])))
except OSError as error:
    print(error, flush=True)
    sys.exit(1)
print("listening", flush=True)
count = 0


def receive():
    global count
    while True:
        listener.recv(65_536)
        count += 1


threading.Thread(target=receive, daemon=True).start()
sys.stdin.read()
print(count, flush=True)
