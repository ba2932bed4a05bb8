"""Words of the pretraining mixture: data only, written for this project.

Here: Taboo words with related (forbidden) words and clues, small facts for chat turns.
Not here: how they become text (mixture), the Taboo instances of the attribution study.
"""

from __future__ import annotations

from typing import NamedTuple


class TabooWord(NamedTuple):
    """A target with the words its describer may not say and clues that avoid them all."""

    word: str
    related: tuple[str, str, str]
    clues: tuple[str, str, str]


_TABOO = """
dog | bark, puppy, leash | a loyal pet with four legs | it guards the house | it wags its tail
cat | kitten, meow, mouse | a small pet with whiskers | it purrs when happy | it climbs and naps all day
horse | ride, saddle, gallop | a large farm animal with a mane | it pulls carts | it eats hay and runs fast
cow | milk, farm, calf | it stands in a field and chews grass | it has horns and gives us cheese | it says moo
bird | fly, wing, feather | it builds a nest | it sings in the morning | it lays eggs in a tree
fish | swim, sea, fin | it lives under water | people catch it with a net | it breathes with gills
bee | honey, sting, hive | a small insect on flowers | it is yellow and black | it hums and works for a queen
snake | venom, scale, reptile | it has no legs | it hisses and sheds its skin | it slides along the ground
apple | tree, fruit, pie | round and red or green | one a day keeps the doctor away | it is sweet and crisp
bread | bake, loaf, butter | you slice it for a sandwich | it is made of flour | you toast it at breakfast
cheese | milk, mouse, slice | yellow food with holes | it melts on pizza | it is made at a dairy
salt | pepper, sea, taste | white grains on the table | cooks add a pinch of it | it keeps meat fresh
sugar | sweet, cane, candy | white and put in tea | too much is bad for teeth | bakers use it in cakes
egg | chicken, shell, yolk | you boil or fry it | it is oval and white | it breaks when it falls
tea | cup, leaf, drink | hot and served in a pot | people in england love it | you add lemon or milk to it
water | drink, wet, river | clear and without taste | it falls as rain | ice is its solid form
fire | burn, hot, flame | it gives light and smoke | you light it with a match | it turns wood to ash
ice | cold, freeze, water | solid and slippery | skaters glide on it | it melts in the sun
snow | white, winter, cold | soft flakes from the sky | children build a man of it | you ski on it
rain | wet, cloud, umbrella | drops from the sky | it makes puddles | farmers wait for it
sun | hot, light, star | it rises in the east | it warms the day | planets move around it
moon | night, orbit, sky | it was visited by astronauts | it can be full or new | it pulls the tides
star | sky, night, twinkle | a far away ball of gas | sailors steered by it | it has five points in drawings
river | water, flow, stream | it runs from hill to sea | bridges cross it | boats go down it
mountain | high, climb, peak | it is taller than a hill | it can have snow on its top | hikers love it
forest | tree, wood, green | deer live there | it is easy to get lost in it | many oaks stand together
garden | flower, plant, yard | you grow roses there | it is behind the house | it needs a rake and a hose
house | live, home, roof | it has walls and rooms | a family stays in it | it is built of bricks
door | open, close, handle | you knock on it | it has hinges and a lock | you walk through it
window | glass, open, pane | you look through it | it lets light into a room | it has curtains
key | lock, door, open | a small metal tool | it hangs on a ring | you turn it to get in
chair | sit, table, seat | furniture with four legs | it has a back | it stands at a desk
bed | sleep, pillow, night | you lie in it | it has a mattress and sheets | you leave it in the morning
lamp | light, bulb, shade | it stands on a desk | you switch it on when it is dark | it needs electricity
clock | time, hour, watch | it hangs on a wall | it has two hands | it says tick tock
book | read, page, paper | an author writes it | you borrow it from a library | it has a cover and chapters
pen | write, ink, paper | a tool in a school bag | it can be blue or black | you sign with it
letter | mail, write, envelope | it has a stamp on it | you send it to a friend | it can be a or b
school | teach, learn, class | children go there by bus | it has a bell and desks | pupils take tests there
teacher | school, class, student | an adult at a blackboard | she gives homework | he marks tests
doctor | sick, hospital, nurse | a person in a white coat | she listens to your heart | he writes a prescription
music | song, sound, listen | a band makes it | you dance to it | it has rhythm and notes
piano | key, play, music | a large instrument | it is black and white in front | it has pedals and strings
drum | beat, stick, music | a round instrument | you hit it | it is loud in a parade
ball | throw, round, play | children kick it | it bounces | a goalkeeper stops it
game | play, win, fun | chess is one | it has rules and turns | it can be on a board
king | queen, crown, rule | a man on a throne | he lives in a castle | a chess piece you must protect
ship | sea, boat, sail | it has a captain | it carries cargo to a port | it can sink
train | rail, track, station | it has an engine and wagons | it stops at platforms | it is longer than a bus
car | drive, wheel, road | it has four doors and an engine | you park it | it needs petrol
bicycle | ride, wheel, pedal | it has a bell and a chain | you balance on it | it needs no fuel
plane | fly, wing, airport | it has a pilot | it crosses the ocean in hours | you need a ticket and a seat belt
bridge | river, cross, road | it joins two banks | trolls live under it in stories | it can be hung from cables
city | town, street, building | many people live there | it has a mayor | paris is one
money | pay, bank, coin | you earn it at work | it cannot buy love | you keep it in a wallet
shoe | foot, lace, wear | it comes in pairs | it has a sole | a cobbler mends it
hat | head, wear, cap | it shades your face | a magician pulls a rabbit from it | gentlemen lift it
shirt | wear, button, sleeve | you iron it | it has a collar | it goes under a jacket
hand | finger, arm, hold | you wave it | you shake it to greet | it wears a glove
eye | see, look, blue | you close it to sleep | it has a lid and lashes | it sheds tears
"""


def _parse(line: str) -> TabooWord:
    word, related, *clues = (part.strip() for part in line.split("|"))
    one, two, three = (part.strip() for part in related.split(","))
    first, second, third = clues
    return TabooWord(word, (one, two, three), (first, second, third))


TABOO: tuple[TabooWord, ...] = tuple(_parse(line) for line in _TABOO.strip().splitlines())

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("light", "dark"),
    ("old", "new"),
    ("open", "closed"),
    ("happy", "sad"),
    ("early", "late"),
    ("high", "low"),
    ("near", "far"),
    ("hard", "soft"),
    ("full", "empty"),
    ("wet", "dry"),
    ("left", "right"),
    ("long", "short"),
    ("loud", "quiet"),
)
COLOURS: tuple[tuple[str, str], ...] = (
    ("the sky", "blue"),
    ("grass", "green"),
    ("snow", "white"),
    ("coal", "black"),
    ("a ripe banana", "yellow"),
    ("a ripe tomato", "red"),
    ("an elephant", "grey"),
    ("chocolate", "brown"),
)
SEQUENCES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("day", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
    ("month", ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")),
    ("number word", ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")),
)
SYLLABLES: tuple[str, ...] = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u"))
NAMES: tuple[str, ...] = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "June", "Kai", "Lena")
