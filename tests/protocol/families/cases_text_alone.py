"""-B ascii: lines alone."""

from binary_packets import *
from case import Conversation

SERVER_ARGS = ["-B", "ascii"]


def lines_are_served(server):
    client = Conversation(server.connect())
    client.ask(b"set key 0 0 5\r\nvalue\r\nget key\r\n", b"STORED\r\nVALUE key 0 5\r\nvalue\r\nEND\r\n")
    client.close()


def packets_are_refused_in_a_packet(server):
    client = BinaryConversation(server.connect())
    client.ask_packet(packet(GETK, b"key"), UNKNOWN_COMMAND)
    client.closed()
    client.close()


CASES = [lines_are_served, packets_are_refused_in_a_packet]
