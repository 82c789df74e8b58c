"""-B binary: packets alone."""

from binary_packets import *
from case import Conversation

SERVER_ARGS = ["-B", "binary"]


def packets_are_served(server):
    client = BinaryConversation(server.connect())
    client.ask_packet(store(SET, b"key", b"value"))
    client.found(packet(GET, b"key"), b"value")
    client.silence()
    client.close()


def text_is_refused_in_words(server):
    for said in (b"get key\r\n", b"g"):
        client = Conversation(server.connect())
        client.ask(said, b"CLIENT_ERROR only the binary protocol is spoken here\r\n<eof>")
        client.close()


CASES = [packets_are_served, text_is_refused_in_words]
