"""Slash commands, completion and buttons against real discord.py."""

import asyncio
import io

import discord
import pytest
from discord import app_commands

from playground import Playground, Refusal
from playground.interactions import Interactions
from playground.messages import MessageFlag, MessageType
from playground.seed import CHAT_ID
from tests.playground.conftest import TIMEOUT_S, Client


class Panel(discord.ui.View):
    def __init__(self):
        super().__init__(timeout=None)

    @discord.ui.button(label="Change", custom_id="change")
    async def change(self, interaction: discord.Interaction, _):
        await interaction.response.edit_message(content="changed", view=None)

    @discord.ui.button(label="Whisper", custom_id="whisper")
    async def whisper(self, interaction: discord.Interaction, _):
        await interaction.response.send_message("just you", ephemeral=True)

    @discord.ui.button(label="Later", custom_id="later")
    async def later(self, interaction: discord.Interaction, _):
        await interaction.response.defer()
        await interaction.edit_original_response(content="later")

    @discord.ui.button(label="Off", custom_id="off", disabled=True)
    async def off(self, interaction: discord.Interaction, _):
        raise AssertionError("a disabled button was clicked")


class Choice(discord.ui.View):
    @discord.ui.button(label="Yes")
    async def yes(self, interaction: discord.Interaction, _):
        await interaction.response.edit_message(content="working", view=None)
        await interaction.edit_original_response(content="done")


class CommandClient(Client):
    """A bot with a command of each kind."""

    async def setup_hook(self) -> None:
        tree = self.tree

        @tree.command(description="Say it back")
        async def echo(interaction: discord.Interaction, text: str, times: int = 1):
            await interaction.response.send_message(" ".join([text] * times))

        @tree.command(description="Think first")
        async def think(interaction: discord.Interaction, hidden: bool = False):
            await interaction.response.defer(thinking=True, ephemeral=hidden)
            await interaction.edit_original_response(content="thought")
            await interaction.followup.send("and more")

        @tree.command(description="Think, then follow up")
        async def follow(interaction: discord.Interaction):
            await interaction.response.defer(thinking=True)
            await interaction.followup.send("followed")

        @tree.command(description="A file, for one person")
        async def paper(interaction: discord.Interaction):
            await interaction.response.defer(thinking=True, ephemeral=True)
            await interaction.followup.send(
                "yours", file=discord.File(io.BytesIO(b"inside"), "paper.txt"), ephemeral=True
            )

        @tree.command(description="Buttons, for one person")
        async def choose(interaction: discord.Interaction):
            await interaction.response.send_message("sure?", view=Choice(), ephemeral=True)

        @tree.command(description="Never answer")
        async def silent(interaction: discord.Interaction):
            pass

        @tree.command(description="With buttons")
        async def panel(interaction: discord.Interaction):
            await interaction.response.send_message("panel", view=Panel())

        @tree.command(description="Who and where")
        async def about(
            interaction: discord.Interaction,
            who: discord.Member,
            where: discord.TextChannel,
            file: discord.Attachment,
        ):
            text = (await file.read()).decode()
            await interaction.response.send_message(f"{who.display_name} {where.name} {text}")

        @tree.command(description="Owners only")
        @app_commands.default_permissions()
        async def owner(interaction: discord.Interaction):
            await interaction.response.send_message(f"yes, {interaction.user.display_name}")

        @tree.command(description="Server only")
        @app_commands.guild_only()
        async def here(interaction: discord.Interaction):
            await interaction.response.send_message("here")

        @tree.command(description="Pick a fruit")
        async def fruit(interaction: discord.Interaction, name: str):
            await interaction.response.send_message(name)

        @fruit.autocomplete("name")
        async def complete(_: discord.Interaction, current: str):
            return [
                app_commands.Choice(name=name, value=name.lower())
                for name in ("Apple", "Apricot", "Banana")
                if name.lower().startswith(current.lower())
            ]

        group = app_commands.Group(name="math", description="Sums")

        @group.command(description="Add")
        async def add(interaction: discord.Interaction, a: int, b: float):
            await interaction.response.send_message(str(a + b))

        tree.add_command(group)
        self.add_view(Panel())
        await tree.sync()


@pytest.fixture
async def bot(connect):
    return await connect(CommandClient())


async def test_slash_command_answers_with_its_name_and_user(pg: Playground, bot):
    alice = pg.human("Alice")
    await alice.slash("general", "echo", text="hi", times=2)
    answer = await pg.next_bot_message("general")
    assert answer["content"] == "hi hi"
    assert answer["type"] == MessageType.CHAT_INPUT_COMMAND
    assert answer["interaction_metadata"]["name"] == "echo"
    assert answer["interaction_metadata"]["user"]["id"] == alice.id


async def test_subcommand_takes_options_by_type(pg: Playground, bot):
    await pg.human("Alice").slash("general", "math add", a="2", b="0.5")
    assert (await pg.next_bot_message("general"))["content"] == "2.5"


async def test_users_channels_and_files_are_resolved(pg: Playground, bot):
    from playground.attachments import Upload

    upload_id = pg.world.attachments.hold(Upload("a.txt", b"inside"))
    bob, dev = pg.human("Bob"), pg.world.channel("dev")
    await bob.slash("chat", "about", who=bob.id, where=dev.id, file=upload_id)
    assert (await pg.next_bot_message("chat"))["content"] == "Bob dev inside"


async def test_slash_command_works_in_direct_messages(pg: Playground, bot):
    alice = pg.human("Alice")
    await alice.slash("dm", "echo", text="psst")
    assert (await pg.next_bot_message(alice.dm))["content"] == "psst"


@pytest.mark.parametrize(
    ("person", "place", "name", "options", "sentence"),
    [
        ("Bob", "chat", "nothing", {}, "There is no such command."),
        ("Bob", "chat", "echo", {}, "The option “text” is required."),
        ("Bob", "chat", "echo", {"text": "a", "times": "two"}, "takes a whole number"),
        ("Bob", "chat", "echo", {"text": "a", "nope": 1}, "has no option “nope”"),
        ("Bob", "chat", "math", {}, "subcommands: add"),
        ("Bob", "chat", "math sub", {}, "has no “sub”"),
        ("Bob", "chat", "owner", {}, "not allowed"),
        ("Bob", "dm", "here", {}, "on the server only"),
    ],
)
async def test_wrong_input_is_explained_and_never_reaches_the_bot(
    pg: Playground, bot, person, place, name, options, sentence
):
    with pg.watch() as events:
        with pytest.raises(Refusal) as refusal:
            await pg.human(person).slash(place, name, **options)
        await pg.human(person).typing("chat")
        assert (await anext(events)).name == "TYPING_START"
    assert sentence in refusal.value.sentence


async def test_owner_may_use_what_others_may_not(pg: Playground, bot):
    await pg.human("Alice").slash("chat", "owner")
    assert (await pg.next_bot_message("chat"))["content"] == "yes, Alice"


async def test_deferred_answer_is_loading_and_then_edited_in_place(pg: Playground, bot):
    with pg.watch() as events:
        await pg.human("Alice").slash("chat", "think")
        async with asyncio.timeout(TIMEOUT_S):
            posted = [await anext(events) for _ in range(4)]
    told = [(e.name, e.data["content"]) for e in posted if e.name.startswith("MESSAGE")]
    assert told == [
        ("MESSAGE_CREATE", ""),
        ("MESSAGE_UPDATE", "thought"),
        ("MESSAGE_CREATE", "and more"),
    ]
    created, updated = posted[1].data, posted[2].data
    assert created["flags"] & MessageFlag.LOADING
    assert not updated["flags"] & MessageFlag.LOADING
    assert updated["id"] == created["id"]


async def test_first_follow_up_takes_the_place_of_a_deferred_answer(pg: Playground, bot):
    await pg.human("Alice").slash("chat", "follow")
    await pg.next_bot_message("chat", matching=lambda m: m["content"] == "followed")
    assert len(pg.world.channel("chat").messages) == 1


async def test_ephemeral_answer_is_for_one_person_and_not_in_the_history(pg: Playground, bot, api):
    alice = pg.human("Alice")
    await alice.slash("chat", "think", hidden=True)
    answer = await pg.next_bot_message("chat", matching=lambda m: m["content"] == "thought")
    assert answer["flags"] & MessageFlag.EPHEMERAL
    assert answer["ephemeral_for"] == alice.id
    path = f"/channels/{CHAT_ID}/messages"
    assert (await api("GET", f"{path}/{answer['id']}"))[0] == 404
    _, messages, _ = await api("GET", path)
    assert answer["id"] not in [message["id"] for message in messages]


async def test_ephemeral_answer_may_bring_a_file(pg: Playground, bot, session):
    alice = pg.human("Alice")
    await alice.slash("chat", "paper")
    answer = await pg.next_bot_message("chat", matching=lambda m: m["content"] == "yours")
    assert answer["ephemeral_for"] == alice.id
    (file,) = answer["attachments"]
    assert file["filename"] == "paper.txt"
    async with session.get(file["url"]) as response:
        assert await response.read() == b"inside"


async def test_buttons_of_an_ephemeral_answer_are_its_readers_alone(pg: Playground, bot):
    alice = pg.human("Alice")
    await alice.slash("chat", "choose")
    question = await pg.next_bot_message("chat", matching=lambda m: bool(m["components"]))
    (button,) = question["components"][0]["components"]
    with pytest.raises(Refusal):
        await pg.human("Bob").click(question, button["custom_id"])
    with pg.watch() as events:
        await alice.click(question, button["custom_id"])
        async with asyncio.timeout(TIMEOUT_S):
            updates = [await anext(events) for _ in range(3)]
    told = [e.data for e in updates if e.name == "MESSAGE_UPDATE"]
    assert [message["content"] for message in told] == ["working", "done"]
    assert {message["id"] for message in told} == {question["id"]}
    assert {message["ephemeral_for"] for message in told} == {alice.id}
    assert told[-1]["components"] == []


async def test_unanswered_command_tells_the_person(pg: Playground, bot):
    pg.interactions = Interactions(
        pg.world,
        pg.commands,
        bot_is_reachable=lambda: True,
        acknowledge_within_s=0.05,
    )
    with pytest.raises(Refusal) as refusal:
        await pg.human("Alice").slash("chat", "silent")
    assert refusal.value.sentence == "The bot did not answer in time."


async def test_without_a_bot_a_command_fails_at_once(pg: Playground):
    pg.commands.put(None, {"name": "echo", "description": "x"})
    with pytest.raises(Refusal) as refusal:
        await pg.human("Alice").slash("chat", "echo")
    assert refusal.value.sentence == "The bot is offline."


async def test_autocomplete_offers_what_matches(pg: Playground, bot):
    choices = await pg.human("Bob").autocomplete("chat", "fruit", "name", name="ap")
    assert choices == [
        {"name": "Apple", "value": "apple"},
        {"name": "Apricot", "value": "apricot"},
    ]


async def panel(pg: Playground):
    await pg.human("Alice").slash("chat", "panel")
    return await pg.next_bot_message("chat", matching=lambda m: bool(m["components"]))


async def test_button_changes_its_message(pg: Playground, bot):
    message = await panel(pg)
    await pg.human("Bob").click(message, "change")
    changed = await pg.next_bot_message("chat", matching=lambda m: m["content"] == "changed")
    assert changed["id"] == message["id"]
    assert changed["components"] == []
    with pytest.raises(Refusal) as refusal:
        await pg.human("Bob").click(message, "change")
    assert refusal.value.sentence == "That button is gone."


async def test_button_may_answer_for_one_person(pg: Playground, bot):
    message = await panel(pg)
    await pg.human("Bob").click(message, "whisper")
    whispered = await pg.next_bot_message("chat", after=message)
    assert whispered["ephemeral_for"] == pg.human("Bob").id
    assert whispered["referenced_message"]["id"] == message["id"]


async def test_button_may_defer_and_edit_later(pg: Playground, bot):
    message = await panel(pg)
    await pg.human("Bob").click(message, "later")
    later = await pg.next_bot_message("chat", matching=lambda m: m["content"] == "later")
    assert later["id"] == message["id"]


async def test_disabled_button_cannot_be_clicked(pg: Playground, bot):
    with pytest.raises(Refusal) as refusal:
        await pg.human("Bob").click(await panel(pg), "off")
    assert refusal.value.sentence == "That button is switched off."


async def test_acknowledging_twice_or_an_unknown_interaction_is_refused(pg: Playground, bot, api):
    with pg.watch() as events:
        await pg.human("Alice").slash("chat", "echo", text="x")
        created = await anext(events)
    path = f"/interactions/{created.data['id']}/{created.data['token']}/callback"
    status, body, _ = await api("POST", path, {"type": 5})
    assert (status, body["code"]) == (400, 40060)
    status, body, _ = await api("POST", "/interactions/1/nope/callback", {"type": 5})
    assert (status, body["code"]) == (404, 10062)


async def test_syncing_again_keeps_ids_and_shows_commands_to_people(pg: Playground, bot):
    before = {command.name: command.id for command in await bot.tree.fetch_commands()}
    with pg.watch() as events:
        await bot.tree.sync()
        told = await anext(events)
    assert told.name == "COMMANDS"
    assert {c["name"]: int(c["id"]) for c in told.data["commands"]} == before
    commands = {command["name"]: command for command in told.data["commands"]}
    assert commands["echo"]["options"][0]["required"]


async def test_single_commands_can_be_added_changed_and_removed(api, pg: Playground):
    path = f"/applications/{pg.world.bot['id']}/commands"
    _, created, _ = await api("POST", path, {"name": "one", "description": "x"})
    _, changed, _ = await api("PATCH", f"{path}/{created['id']}", {"description": "y"})
    assert (changed["id"], changed["description"]) == (created["id"], "y")
    assert (await api("DELETE", f"{path}/{created['id']}"))[0] == 204
    assert (await api("GET", path))[1] == []


@pytest.mark.parametrize(
    "command",
    [
        {"name": "Upper", "description": "x"},
        {"name": "two words", "description": "x"},
        {"name": "x" * 33, "description": "x"},
        {"name": "ok"},
        {"name": "ok", "description": "x", "options": [{"name": "a", "type": 3}]},
        {
            "name": "ok",
            "description": "x",
            "options": [
                {"name": "a", "description": "x", "type": 3},
                {"name": "b", "description": "x", "type": 3, "required": True},
            ],
        },
    ],
)
async def test_faulty_commands_are_refused(api, pg: Playground, command):
    path = f"/applications/{pg.world.bot['id']}/commands"
    status, body, _ = await api("PUT", path, [command])
    assert (status, body["code"]) == (400, 50035)
