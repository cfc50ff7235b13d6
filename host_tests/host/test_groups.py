"""Groups: the bot speaks when it is meant, and the rest of the talk costs nothing."""

from relay_kit import GROUPS, OWNER, STRANGER, House

NAME = "@thimble_test_bot"
ODD = "I can read only text."


def test_only_what_means_the_bot_is_answered_and_the_rest_is_confirmed(house):
    group = GROUPS[0]
    house.say("lunch at one?", group, user=STRANGER)
    house.cloud.telegram.photo(chat=group, caption="my lunch", user=STRANGER)
    house.cloud.telegram.sticker(chat=group, user=OWNER)
    house.ask(f"what is for lunch, {NAME}?", group, user=STRANGER)
    house.quiet()

    assert house.texts(group) == [f"what is for lunch, {NAME}?"]
    assert len(house.cloud.models.calls()) == 1
    assert house.cloud.telegram.pending() == 0
    state = house.board.status()
    assert state["refused"] == state["dropped"] == 0


def test_a_reply_to_the_bot_means_it_and_one_to_a_person_does_not(house):
    group = GROUPS[1]
    house.ask(f"hello {NAME}", group, user=STRANGER)
    answer = house.cloud.telegram.messages(group)[-1].id
    house.say("nice bot", group, user=STRANGER, reply_to="what a person said")
    house.ask("go on", group, user=STRANGER, reply_to=answer)
    house.quiet()
    assert house.texts(group) == [f"hello {NAME}", "go on"]


def test_the_thread_that_replies_make_in_a_supergroup_is_no_topic_of_its_own(house):
    group = GROUPS[3]
    house.ask(f"{NAME} one", group, user=STRANGER)
    answer = house.cloud.telegram.messages(group)[-1].id
    house.ask("two", group, user=STRANGER, reply_to=answer)

    assert [words for _, words in house.prompts()[-1]][-3:] == [f"{NAME} one"] * 2 + ["two"]
    assert [one.thread for one in house.cloud.telegram.messages(group)] == [0, 0]


def test_in_a_topic_the_same_holds(house):
    group = GROUPS[2]
    house.cloud.telegram.chat(group, "supergroup", forum=True, topics=(7,))
    bot = {"id": int(house.cloud.token.split(":")[0]), "is_bot": True}
    root = {"message_id": 7, "from": bot, "forum_topic_created": {"name": "seven"}}
    house.say("chatter", group, user=OWNER, thread=7, extra={"reply_to_message": root})
    house.ask(f"{NAME} hi", group, user=OWNER, thread=7)
    house.quiet()
    assert [(one.text, one.thread) for one in house.cloud.telegram.messages(group)] == [
        (f"{NAME} hi", 7)
    ]


def test_a_photo_whose_caption_names_the_bot_gets_its_short_word(house):
    group = GROUPS[3]
    house.cloud.telegram.photo(chat=group, caption=f"{NAME} what is this?", user=OWNER)
    house.last(group, ODD)
    assert not house.cloud.models.calls()


def test_the_name_is_asked_for_until_it_is_known_and_nothing_is_lost_until_then(tmp_path):
    house = House(tmp_path)
    house.cloud.fault("telegram", "getMe", "status", status=500, times=2)
    with house:
        house.ask(f"hello {NAME}", GROUPS[0], user=OWNER)
        house.quiet()
        assert house.texts(GROUPS[0]) == [f"hello {NAME}"]
        assert house.cloud.telegram.count("getMe") == 3
        assert house.cloud.telegram.count("setMyCommands") == 1
