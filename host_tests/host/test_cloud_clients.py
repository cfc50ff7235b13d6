"""Programs written for the real services work with the simulated ones, over TLS."""

import asyncio
import ssl

import anthropic
import openai
import pytest
import telegram
import telegram.error
from telegram.ext import ApplicationBuilder, MessageHandler, filters
from telegram.request import HTTPXRequest

from tools.cloud import Cloud


@pytest.fixture(scope="module", params=["1.3", "rp2"])
def running(request):
    with Cloud(tls=request.param) as cloud:
        yield cloud


@pytest.fixture
def cloud(running):
    running.telegram.flood_limits(enabled=False)
    running.telegram.restart_ids(5000)
    running.advance(10)
    running.models.clear()
    running.models.default(mode="echo")
    running.clear_faults()
    return running


def trust(cloud):
    return ssl.create_default_context(cafile=str(cloud.ca_pem))


def bot_of(cloud, token=None):
    def request():
        return HTTPXRequest(httpx_kwargs={"verify": trust(cloud)})

    return telegram.Bot(
        token or cloud.token,
        base_url=cloud.urls["telegram"] + "/bot",
        request=request(),
        get_updates_request=request(),
    )


def with_bot(cloud, use, token=None):
    async def run():
        bot = bot_of(cloud, token)
        async with bot:
            return await use(bot)

    return asyncio.run(run())


def test_python_telegram_bot_sends_edits_and_deletes(cloud):
    async def use(bot):
        message = await bot.send_message(42, "<b>bold</b> &amp; more", parse_mode="HTML")
        edited = await bot.edit_message_text("other", 42, message.message_id)
        await bot.send_chat_action(42, "typing")
        await bot.set_my_commands([telegram.BotCommand("stop", "Stops")])
        await bot.delete_webhook()
        info = await bot.get_webhook_info()
        deleted = await bot.delete_message(42, message.message_id)
        return message, edited, info, deleted

    message, edited, info, deleted = with_bot(cloud, use)

    assert message.text == "bold & more" and message.entities[0].type == "bold"
    assert edited.text == "other" and edited.edit_date
    assert info.url == "" and deleted is True


def test_python_telegram_bot_reads_updates_of_all_kinds(cloud):
    people = cloud.telegram
    people.say(42, "😀 /start", reply_to="before")
    people.photo(42, "look")
    people.sticker(42)
    people.voice(42)
    people.join(-100, 5)
    people.channel_post()
    people.callback(42, data="pressed")
    people.member(42, "member")
    people.say(-1000000000777, "topic", user=2**52, thread=5)

    async def use(bot):
        return await bot.get_updates(timeout=0)

    updates = with_bot(cloud, use)

    assert [update.update_id for update in updates] == list(range(5000, 5009))
    assert updates[0].message.reply_to_message.text == "before"
    assert updates[0].message.parse_entities() == {updates[0].message.entities[0]: "/start"}
    assert updates[1].message.photo and updates[2].message.sticker and updates[3].message.voice
    assert updates[6].callback_query.data == "pressed"
    assert updates[7].my_chat_member.new_chat_member.status == "member"
    assert updates[8].message.from_user.id == 2**52 and updates[8].message.is_topic_message


def test_python_telegram_bot_polls_with_its_application(cloud):
    async def answer(update, context):
        await update.message.reply_text("re: " + update.message.text)

    async def run():
        application = ApplicationBuilder().bot(bot_of(cloud)).build()
        application.add_handler(MessageHandler(filters.TEXT, answer))
        async with application:
            await application.start()
            await application.updater.start_polling(poll_interval=0, timeout=1)
            number = cloud.telegram.say(42, "are you there?")
            loop = asyncio.get_running_loop()
            wanted = "re: are you there?"
            await loop.run_in_executor(
                None, cloud.wait_for, lambda: wanted in cloud.telegram.texts(42)
            )
            await application.updater.stop()
            await application.stop()
        return number

    assert asyncio.run(run()) > 0
    assert cloud.telegram.pending() == 0


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_python_telegram_bot_gets_its_exceptions(cloud):
    cloud.telegram.chat(77)
    cloud.telegram.block(77)

    def raises(kind, use, match=None):
        with pytest.raises(kind, match=match):
            with_bot(cloud, use)

    raises(telegram.error.Forbidden, lambda bot: bot.send_message(77, "x"), "bot was blocked")
    raises(telegram.error.BadRequest, lambda bot: bot.send_message(1, "x"), "Chat not found")
    raises(
        telegram.error.BadRequest,
        lambda bot: bot.send_message(42, "<b>", parse_mode="HTML"),
        "Can't parse entities",
    )
    with pytest.raises(telegram.error.InvalidToken):
        with_bot(cloud, lambda bot: bot.get_me(), token="1:wrong")
    cloud.telegram.flood.reset()
    cloud.telegram.flood_limits(enabled=True)

    async def flood(bot):
        for _ in range(6):
            await bot.send_message(42, "x")

    with pytest.raises(telegram.error.RetryAfter):
        with_bot(cloud, flood)


def test_python_telegram_bot_meets_a_conflict(cloud):
    async def use(bot):
        async with bot_of(cloud) as other:
            older = asyncio.create_task(bot.get_updates(timeout=20))
            while not cloud.telegram.updates.polling:
                await asyncio.sleep(0.01)
            newer = asyncio.create_task(other.get_updates(timeout=20))
            with pytest.raises(telegram.error.Conflict):
                await older
            cloud.telegram.say(42, "hello")
            return await newer

    assert len(with_bot(cloud, use)) == 1


def openai_of(cloud, **options):
    return openai.OpenAI(
        api_key=options.pop("key", cloud.key),
        base_url=cloud.urls["models"],
        http_client=openai.DefaultHttpxClient(verify=trust(cloud)),
        max_retries=0,
        **options,
    )


def anthropic_of(cloud, **options):
    return anthropic.Anthropic(
        api_key=options.pop("key", cloud.key),
        base_url=cloud.urls["models"].removesuffix("/v1"),
        http_client=anthropic.DefaultHttpxClient(verify=trust(cloud)),
        max_retries=0,
        **options,
    )


ASK = {"model": "simulated-1", "messages": [{"role": "user", "content": "héllo 😀"}]}


def test_openai_answers_and_streams(cloud):
    with openai_of(cloud) as client:
        answer = client.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == "héllo 😀" and answer.usage.total_tokens > 0
        cloud.models.script(mode="echo", cuts="all", cut_pause=0, think="hm", keepalives=2)
        stream = client.chat.completions.create(
            **ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == "héllo 😀" and chunks[-1].usage.completion_tokens > 0
        assert chunks[-2].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_openai_gets_its_exceptions(cloud, status, kind):
    cloud.models.script(status=status, retry_after=1)
    with openai_of(cloud) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(**ASK)
    assert caught.value.status_code == status and caught.value.body["message"]


def test_openai_meets_refusals_and_broken_streams(cloud):
    with openai_of(cloud, key="wrong") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**ASK)
    with openai_of(cloud) as client:
        with pytest.raises(openai.NotFoundError, match="nobody"):
            client.chat.completions.create(**{**ASK, "model": "nobody"})
        cloud.models.script(mode="echo", error_after=1, deltas=3)
        with pytest.raises(openai.APIError, match="Provider returned an error"):
            list(client.chat.completions.create(**ASK, stream=True))
        cloud.models.script(mode="echo", cut_after=1, deltas=3)
        with pytest.raises(openai.APIConnectionError):
            list(client.chat.completions.create(**ASK, stream=True))


def test_anthropic_answers_and_streams(cloud):
    with anthropic_of(cloud) as client:
        answer = client.messages.create(**ASK, max_tokens=50)
        assert answer.content[0].text == "héllo 😀" and answer.stop_reason == "end_turn"
        cloud.models.script(mode="echo", cuts="all", cut_pause=0, think="hm", keepalives=2)
        with client.messages.stream(**ASK, max_tokens=50, system="Be brief.") as stream:
            assert "".join(stream.text_stream) == "héllo 😀"
            final = stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]
        assert final.usage.output_tokens > 0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_anthropic_gets_its_exceptions(cloud, status, kind):
    cloud.models.script(status=status)
    with anthropic_of(cloud) as client, pytest.raises(kind) as caught:
        client.messages.create(**ASK, max_tokens=50)
    assert caught.value.status_code == status and caught.value.body["type"] == "error"


def test_anthropic_meets_an_error_inside_the_stream(cloud):
    cloud.models.script(mode="echo", error_after=1, deltas=3)
    with (
        anthropic_of(cloud) as client,
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        client.messages.stream(**ASK, max_tokens=50) as stream,
    ):
        list(stream)
