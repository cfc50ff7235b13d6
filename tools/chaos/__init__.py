"""``make chaos``: what the network can do wrong, done to a running relay, one after the other.

gate.py    a TCP proxy in front of each server, that refuses, swallows, stalls, cuts, garbles
names.py   a name server on loopback that knows, denies, fails or keeps silent
rig.py     a simulated cloud, its gates, and a relay that is given no rest
faults.py  the list of faults
table.py   runs them, several relays at a time
storm.py   relays that are killed while chats keep asking
tally.py   what became of each message
soak.py    many messages, with faults and kills
people.py  random steps of what people do, compared with a reference; draws.py draws them,
           reference.py says what the README promises
hurried.py the relay with its time limits divided, so that CI need not wait for them
"""
