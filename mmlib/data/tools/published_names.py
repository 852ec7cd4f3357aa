"""The classes of the published lists, and what two of these share."""

_ACTIONS = (
    "ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching BaseballPitch "
    "Basketball BasketballDunk BenchPress Biking Billiards BlowDryHair BlowingCandles "
    "BodyWeightSquats Bowling BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth "
    "CleanAndJerk CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing "
    "FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut Hammering "
    "HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump HorseRace HorseRiding "
    "HulaHoop IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking Knitting "
    "LongJump Lunges MilitaryParade Mixing MoppingFloor Nunchucks ParallelBars PizzaTossing "
    "PlayingCello PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar "
    "PlayingTabla PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting "
    "RockClimbingIndoor RopeClimbing Rowing SalsaSpin ShavingBeard Shotput SkateBoarding Skiing "
    "Skijet SkyDiving SoccerJuggling SoccerPenalty StillRings SumoWrestling Surfing Swing "
    "TableTennisShot TaiChi TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars "
    "VolleyballSpiking WalkingWithDog WallPushups WritingOnBoard YoYo"
)
_EVENTS = (
    "Church bell; Male speech, man speaking; Bark; Fixed-wing aircraft, airplane; Race car, auto "
    "racing; Female speech, woman speaking; Helicopter; Violin, fiddle; Flute; Ukulele; Frying "
    "(food); Truck; Shofar; Motorcycle; Acoustic guitar; Train horn; Clock; Banjo; Goat; Baby "
    "cry, infant cry; Bus; Chainsaw; Cat; Horse; Toilet flush; Rodents, rats, mice; Accordion; "
    "Mandolin"
)
_OBJECTS = (
    "airplane bathtub bed bench bookshelf bottle bowl car chair cone cup curtain desk door "
    "dresser flower_pot glass_box guitar keyboard lamp laptop mantel monitor night_stand person "
    "piano plant radio range_hood sink sofa stairs stool table tent toilet tv_stand vase wardrobe "
    "xbox"
)
_TWICE = (
    "-GJvu5hr6w4 00N83yxKYUI 0j6rg-m7C5g 1n7amzH3-1E 1u3hR1PNYf4 2Fkh-PUx2SA 2qVuxENcRvw "
    "3s0QRMuXTnE 6OSEf-W1gmc 7PZl6hYrQGo -9_5_2i4igQ -PljzzluWNw -WOcO4B-Jis 0NmA9tKpBdw "
    "0f_iTO5t3hU 0qvQIuQoODo 1cmo1SGxJnc 7iIBkME4bSM"
)

UCF101_CLASSES = tuple(_ACTIONS.split())
AVE_CLASSES = tuple(_EVENTS.split("; "))
MODELNET40_CLASSES = tuple(_OBJECTS.split())
AVE_TWICE = frozenset(_TWICE.split())  # ten in training and validation, eight in training and test
