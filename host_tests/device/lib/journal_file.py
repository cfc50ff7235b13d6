"""The journal's file from outside: what stands in it, by its documented layout."""

import os

from journal_desk import BASE, PATH


def read(path=PATH):
    with open(path, "rb") as file:
        return file.read()


def write(content, path=PATH):
    """Makes it the journal: nothing waits beside it."""
    if PATH[7:] + ".tail" in os.listdir(PATH[:6]) and os.listdir(PATH + ".tail"):
        os.remove(PATH + ".tail/now")
    with open(path, "wb") as file:
        file.write(content)


def sample(desk):
    """A file with five messages, the second one being answered, the first and third done."""
    desk.boot()
    desk.take(range(2))
    desk.close(desk.attempt())
    now = desk.attempt()
    for _ in range(2):
        desk.send(now)
    desk.take((2, 3))
    desk.skip(4)
    desk.take((5,))
    at = desk.ring.after(desk.ring.first())
    desk.journal.done(at)
    desk.ring.drop(at)
    desk.promises.closing.add(2)
    desk.commit()
    assert desk.ring.count == 3
    desk.journal.close()
    return read()


def starts_of(content):
    """Where the records begin, and where the last one ends."""
    at = 0
    while at < len(content):
        yield at
        at += 7 + (content[at + 3] | content[at + 4] << 8)
    assert at == len(content)
    yield at


def replayed(content, end):
    """What the whole records before ``end`` say, by the layout that the module describes."""
    waiting, tries, ids, offset, names = [], {}, {}, 0, {}
    at = 0
    for behind in list(starts_of(content))[1:]:
        if behind > end:
            break
        kind, number = content[at], content[at + 1] | content[at + 2] << 8
        payload = content[at + 7 : behind]
        if kind == 2:
            update = int(payload[48 : 48 + payload[4]]) - BASE
            names[number] = update
            waiting.append(update)
            tries[update] = payload[5]
            offset = update + 1
        elif kind == 3:
            tries[names[number]] = payload[0]
        elif kind == 4:
            assert payload[0] == len(ids.setdefault(names[number], []))
            ids[names[number]].append(payload[1:])
        elif kind == 5:
            waiting.remove(names[number])
        elif kind == 6 and payload:
            offset = int(payload) - BASE
        at = behind
    return [(n, tries.get(n, 0), ids.get(n, [])) for n in waiting], offset
