"""Instructions, counted by callgrind: of a relayed message, of the start and of trimming."""

from tools.bench import figures, instructions, trim

# What one of so few messages may take, the naive bot's = 1; one of README's 100 takes more. On a
# busy machine waits are interrupted more often: up to 0.4 was seen.
CEILING = 6.2
START_CEILING = 2


def test_a_message_takes_no_more_instructions_than_its_ceiling():
    result = instructions.measure(messages=40, streamed=False)

    for who in ("naive", "single"):
        calls = result[who]["calls"]
        assert (calls["chat"], calls["sendMessage"], calls["editMessageText"]) == (1, 1, 0)
    assert result["naive"]["instructions"] > 100_000
    assert result["ratio"] <= CEILING


def test_the_relay_reaches_its_first_poll_with_twice_the_work_of_a_bare_request():
    result = figures.start()

    assert result["bare"] > 10_000_000
    assert result["ratio"] <= START_CEILING


def test_trimming_allocates_nothing_and_takes_no_more_than_parsing_as_many_bytes():
    result = trim.measure()

    assert result["turns"] > 50
    assert result["allocated"] == 0
    assert 0 < result["ratio"] <= 1
