"""The configuration: defaults, refusals by name, atomic saving."""

import os

from kit import raises
from thimble import config
from thimble.console import settings
from thimble.core.errors import ConfigError

FILE = "/tmp/thimble-test-config.json"


def refused(**sections):
    return str(raises(ConfigError, lambda: config.settings(sections)))


def stored(values, read):
    config.save(values, FILE)
    return read(FILE)


def ready(path):
    return config.complete(config.load(path))


def test_every_key_has_a_default():
    it = config.settings({})
    assert it.model.api == "openai" and it.model.max_tokens == 1024
    assert it.memory.elevated == 80 and it.telegram.allow == []


def test_an_unknown_section_or_key_is_refused_by_name():
    assert "telegramm" in refused(telegramm={})
    assert "model.nam " in refused(model={"nam": "x"})


def test_a_wrong_type_is_refused_by_name():
    assert refused(model={"max_tokens": "5"}) == "model.max_tokens must be a whole number"
    assert "telegram.allow" in refused(telegram={"allow": ["42"]})
    assert "telegram.allow" in refused(telegram={"allow": [True]})
    assert "memory.critical" in refused(memory={"critical": 9.5})
    assert "model must be" in refused(model=[])


def test_numbers_out_of_range_are_refused_with_the_range():
    assert "between 61 and 99" in refused(memory={"elevated": 60})  # compaction ends below 60 %
    assert "memory.max_messages must be between 10" in refused(memory={"max_messages": 9})
    assert config.settings({"memory": {"max_messages": 10}}).memory.max_messages == 10
    assert "less than memory.critical" in refused(memory={"elevated": 90, "critical": 90})


def test_plain_http_is_only_for_the_local_network():
    for good in (
        "http://127.0.0.1:8080",
        "http://192.168.1.5/v1",
        "http://ollama:11434/v1",
        "http://box.local",
        "http://10.0.0.2",
        "http://172.16.0.1",
        "http://172.31.255.1",
        "http://169.254.0.1",
        "http://home.arpa",
        "http://nas.home.arpa:11434",
    ):
        config.endpoint(good, "model.url")
    for bad in (
        "http://api.openai.com/v1",
        "http://8.8.8.8",
        "http://172.15.0.1",
        "http://172.32.0.1",
        "http://171.16.0.1",
        "http://173.16.0.1",
        "http://169.253.0.1",
        "http://169.168.0.1",
        "http://192.254.0.1",
        "http://8.254.0.1",
        "http://8.168.0.1",
        "http://192.168.1.300",
        "http://nothome.arpa",
        "ftp://x",
        "x",
        "https:///v1",
        "https://a.example:0",
        "https://a.example:65536",
    ):
        raises(ConfigError, lambda bad=bad: config.endpoint(bad, "model.url"))
    assert config.endpoint("https://a.example", "u") == (True, "a.example", 443, "")
    assert config.endpoint("http://box", "u") == (False, "box", 80, "")
    assert config.endpoint("https://a.example:444/v1/", "u") == (True, "a.example", 444, "/v1")


def test_what_would_break_the_head_of_a_request_is_refused_by_name():
    wanted = " must have only characters of ASCII, and no spaces"
    for bad in ("1:a\n", "1:a b", "1:a\rb", "1:\u200ba", "\ufeff1:a", "1:a\x00"):
        assert refused(telegram={"token": bad}) == "telegram.token" + wanted, bad
    for bad in ("sk-a\nX-Other: b", "sk-ä"):
        assert refused(model={"key": bad}) == "model.key" + wanted, bad
    for bad in ("https://a.example/v1\n", "https://a .example", "https://ä.example"):
        assert refused(model={"url": bad}) == "model.url" + wanted, bad
    assert config.settings({"model": {"key": " sk-a\n"}}).model.key


def test_what_the_radio_would_refuse_is_refused_by_name():
    assert refused(wifi={"hostname": "ü" * 17}) == "wifi.hostname must have 1 to 32 bytes"
    assert "wifi.hostname" in refused(wifi={"hostname": ""})
    assert refused(wifi={"ssid": "x" * 33}) == "wifi.ssid must have at most 32 bytes"
    wanted = "password must have 8 to 63 bytes, or 64 hex digits"
    for bad in ("seven 7", "x" * 64, "ü" * 32, "0" * 65):
        assert refused(wifi={"password": bad}) == "wifi." + wanted, bad
    for bad in ("DEU", "D", "D1", "dé", "äö"):
        assert "wifi.country must be two letters" in refused(wifi={"country": bad}), bad
    network = {"ssid": "x", "password": "short"}
    assert refused(wifi={"networks": [network]}) == "wifi.networks." + wanted
    assert "networks.ssid must" in refused(wifi={"networks": [{"ssid": "ü" * 17}]})
    assert "networks: a network has no ssid" in refused(wifi={"networks": [{"priority": 1}]})
    for bad in (101, "1", True):
        said = refused(wifi={"networks": [{"ssid": "x", "priority": bad}]})
        assert "networks.priority must be" in said, bad


def test_what_the_radio_takes_is_taken():
    for password in ("", "eight 88", "ü" * 31 + "x", "0123456789abcdefABCDEF" * 2 + "0" * 20):
        network = {"ssid": "ü" * 16, "password": password, "priority": 100}
        wifi = {"ssid": "ü" * 16, "password": password, "networks": [network], "country": "de"}
        wifi["hostname"] = "ü" * 16
        config.settings({"wifi": wifi})


def test_an_address_is_four_numbers_up_to_255():
    for bad in ("1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "1.2.3.", "box.local"):
        for key in ("address", "netmask", "gateway", "dns"):
            assert refused(wifi={key: bad}).startswith("wifi.%s must be an IPv4" % key), bad
    config.settings({"wifi": {"address": "0.10.200.255", "gateway": "0.10.200.1", "dns": ""}})


def test_an_address_without_a_gateway_is_refused_by_name():
    for gateway in ({}, {"gateway": ""}):
        wifi = {"address": "10.0.0.7", "dns": "10.0.0.1"}
        wifi.update(gateway)
        assert refused(wifi=wifi) == "wifi.address needs wifi.gateway"
    config.settings({"wifi": {"address": "", "dns": "10.0.0.1"}})


def test_a_key_for_anthropic_does_not_go_to_the_default_address():
    model = {"api": "anthropic", "key": "k", "name": "m"}
    values = {"telegram": {"token": "1:a"}, "model": model}
    said = "model.api anthropic needs model.url: https://api.anthropic.com/v1"
    error = raises(ConfigError, lambda: config.complete(config.settings(values)))
    assert str(error) == said
    model["url"] = said.split(": ")[1]
    made = config.complete(config.settings(values))
    assert made.model.endpoint[1] == "api.anthropic.com"
    values["model"] = {"key": "k", "name": "m"}
    assert config.complete(config.settings(values)).model.endpoint[1] == "api.openai.com"


def test_a_time_server_is_a_name_or_an_ipv4_address_with_or_without_a_port():
    for bad in ("", "::1", ":1", "a.example:ntp", "ntp://a.example", "a.example:0", "a:65536"):
        said = refused(clock={"servers": ["pool.ntp.org", bad]})
        assert said == "clock.servers must be a list of hosts or host:port", bad
    config.settings({"clock": {"servers": ["a.example", "10.0.0.1", "a.example:1", "x:65535"]}})


def test_what_is_none_of_the_choices_is_refused_with_them():
    assert refused(model={"api": "cohere"}) == "model.api must be one of: openai, anthropic"
    assert "power must be one of" in refused(wifi={"power": "high"})
    config.settings({"model": {"api": "anthropic"}})


def test_an_unknown_key_of_a_network_is_refused_by_name():
    said = refused(wifi={"networks": [{"ssid": "x", "pasword": "12345678"}]})
    assert said.startswith("wifi.networks.pasword is not a setting; wifi.networks has ")


def test_no_secret_is_left_out_of_those_that_no_output_may_show():
    networks = [{"ssid": "a"}, {"ssid": "b", "password": "second secret"}]
    made = config.settings(
        {
            "wifi": {"ssid": "x", "password": "first secret", "networks": networks},
            "telegram": {"token": "1:token"},
            "model": {"key": "sk-key"},
        }
    )
    assert made.secrets == ["first secret", "1:token", "sk-key", "second secret"]
    assert config.settings({}).secrets == []


def test_of_a_short_secret_nothing_is_shown_but_that_it_is_there():
    assert settings.masked("") == "" and settings.masked("7 chars") == "…"
    assert settings.masked("8 chars.") == "…ars."


def test_a_certificates_path_is_relative_to_the_configuration():
    for path, ca, found in (
        ("/a/b/thimble.json", "ca.der", "/a/b/ca.der"),
        ("/a/b/thimble.json", "/ca.der", "/ca.der"),
        ("/a/b/thimble.json", "", ""),
        ("thimble.json", "ca.der", "ca.der"),
    ):
        assert config.settings({"tls": {"ca": ca}}, path).tls.ca == found


def test_a_token_that_cannot_stand_in_a_url_is_refused_without_being_shown():
    for token in ("12:ab/../cd", "12:ab cd", "12ab"):
        said = refused(telegram={"token": token})
        assert "telegram.token" in said and token[:4] not in said


def test_what_is_missing_is_named():
    assert "telegram.token" in str(raises(ConfigError, lambda: stored({}, ready)))
    assert "model.name" in str(
        raises(ConfigError, lambda: stored({"telegram": {"token": "1:a"}}, ready))
    )


def test_a_file_that_is_missing_or_no_json_is_said():
    assert "cannot be read" in str(raises(ConfigError, lambda: config.load("/tmp/none.json")))
    with open(FILE, "w") as file:
        file.write("{")
    error = str(raises(ConfigError, lambda: config.load(FILE)))
    assert " is not valid JSON: " in error and error.count("JSON") == 1
    with open(FILE, "w") as file:
        file.write("[]")
    assert "must be a JSON object" in str(raises(ConfigError, lambda: config.load(FILE)))


def test_a_file_that_cannot_be_read_is_not_taken_for_none():
    config.save({"model": {"name": "a"}}, FILE)
    assert settings.stored(FILE) == {"model": {"name": "a"}}
    assert settings.stored(FILE + ".none") == {}
    below = FILE + "/file"
    said = str(raises(ConfigError, lambda: settings.stored(below)))
    assert said == below + " cannot be read (error 20)"


def test_emoji_written_as_surrogate_escapes_arrive_whole():
    with open(FILE, "w") as file:
        file.write(
            '{"model": {"system": "한 \\ud83d\\ude00 \\udbff\\udfff\\ud55c \\ud800\\udc01"}}'
        )
    assert config.load(FILE).model.system == "한 😀 \U0010ffff한 \U00010001"
    with open(FILE, "w") as file:
        file.write('{"wifi": {"networks": [{"ssid": "home"}, {"ssid": "\\ud83d\\ude00"}]}}')
    assert config.load(FILE).wifi.networks[1]["ssid"] == "😀"


def test_half_of_a_surrogate_pair_is_no_text():
    for half in ("\\ud83d", "\\ude00", "\\ude00\\ude00", "\\ude00\\ud83d", "\\ud83d\ud55c"):
        with open(FILE, "w") as file:
            file.write('{"model": {"system": "%s"}}' % half)
        assert "surrogate" in str(raises(ConfigError, lambda: config.load(FILE))), half


def test_a_file_that_is_not_utf8_is_said_and_all_that_is_utf8_is_taken():
    stray = b"\xff", b"\xe4", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xf5\x80\x80\x80"
    overlong = b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"
    beyond = (b"\xf4\x90\x80\x80",)
    for bad in stray + overlong + beyond:
        with open(FILE, "wb") as file:
            file.write(b'{"wifi": {"ssid": "caf' + bad + b'"}}')
        error = str(raises(ConfigError, lambda: config.load(FILE)))
        assert error.endswith("is not valid JSON: it is not UTF-8; save it as UTF-8"), bad
    text = "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    with open(FILE, "wb") as file:
        file.write(b'{"model": {"system": "' + text.encode() + b'"}}')
    assert config.load(FILE).model.system == text


def test_saving_replaces_the_file_and_what_is_invalid_never_gets_there():
    config.save({"model": {"name": "a"}}, FILE)
    raises(ConfigError, lambda: config.save({"model": {"name": 5}}, FILE))
    raises(ConfigError, lambda: config.save({"model": {"url": "http://api.openai.com"}}, FILE))
    # What MicroPython takes for text, and the file could not be read with.
    for odd in (b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xed\xa0\x80"):
        values = {"model": {"name": odd.decode()}}
        raises(ConfigError, lambda values=values: config.save(values, FILE))
    assert config.load(FILE).model.name == "a"
    config.save({"model": {"name": "b"}}, FILE)
    assert config.load(FILE).model.name == "b"
    os.remove(FILE)


def test_a_saving_that_ends_before_its_last_step_leaves_the_file_as_it_was():
    class json:
        @staticmethod
        def dump(values, file):
            file.write('{"model": {"na')
            raise MemoryError

    class os_without_rename:
        @staticmethod
        def rename(old, new):
            raise OSError(5)

    config.save({"model": {"name": "a"}}, FILE)
    for name, part, error in (("json", json, MemoryError), ("os", os_without_rename, OSError)):
        real = getattr(config, name)
        setattr(config, name, part)
        try:
            raises(error, lambda: config.save({"model": {"name": "b"}}, FILE))
        finally:
            setattr(config, name, real)
        assert config.load(FILE).model.name == "a"
    os.remove(FILE)
    os.remove(FILE + ".new")
