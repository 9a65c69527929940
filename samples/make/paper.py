"""The text of samples/mixed.pdf. All of it, people, instruments, measurements and references, is made up.

Markup inside strings: *italic*, **bold**, ^{superscript}, _{subscript}, [^key] footnote mark.
"""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

JOURNAL = "Journal of Wood, String and Sound 14 (2025) 211–214"
FIRST_PAGE = 211
SHORT_AUTHORS = "M. Halvorsen et al."
SHORT_TITLE = "Small molecules in old spruce"
DATES = "Received 3 February 2025; revised 28 April 2025; accepted 19 May 2025"
COPYRIGHT = "© 2025 The authors. Open specimen under CC0."

TITLE = "Small Molecules in Old Spruce: Extractives, Damping and the Sound of a Restored Square Piano"
AUTHORS = [
    ("Mira Halvorsen", "1,*"),
    ("Tomás Echeverri-Lund", "1,2"),
    ("Aiko Brandsma", "3"),
    ("D. R. Okonjo-Weiss", "2"),
]
AFFILIATIONS = [
    ("1", "Institute for Wood and Sound, Northbridge Polytechnic, 4 Millrace Lane, Northbridge"),
    ("2", "Conservation Workshop, Museum of Keyboard Instruments, Sankt Alban"),
    ("3", "Department of Analytical Chemistry, University of Westerhaven"),
]
CORRESPONDING = ("*", "Corresponding author. E-mail: mira.halvorsen@example.org")

ABSTRACT = (
    "Spruce soundboards grow lighter, stiffer and more resonant with age, and makers have long suspected that the "
    "resin has a part in it. We opened a square piano of about 1805 whose soundboard had to be replaced and used the "
    "discarded wood to ask which small molecules are left after two centuries and what they do to the vibration of the "
    "board. Seven extractives were identified by gas chromatography, among them two lignans that had not been reported "
    "from instrument wood. Removing them with acetone raised the loss tangent of thin strips by 22 to 31% and lowered "
    "their stiffness hardly at all. A listening test with a short musical passage suggests that the difference can be "
    "heard in the treble but not in the bass. We conclude that the extractives act as stiff fillers of the cell wall "
    "rather than as lubricants, and that cleaning old boards with polar solvents should be avoided."
)
KEYWORDS = ["spruce", "extractives", "lignans", "loss tangent", "square piano", "conservation"]

FOOTNOTES = {
    "origin": "The fallboard bears no maker’s name. The date rests on the stringing and on a repair note inside the case.",
    "dry": "Dry mass was taken after 24 h at 103 °C on a matched offcut, never on the strip itself.",
    "ear": "Two listeners who played the piano professionally were excluded, since they recognised the instrument.",
    "unit": "One cent is a hundredth of an equally tempered semitone; an octave has 1200.",
    "invented": "The instrument, the measurements and the cited works in this specimen are invented for testing software.",
}

BODY: list[tuple[str, object]] = [
    ("h1", "Introduction"),
    ("p", "The tone of a stringed keyboard instrument is decided to a large part by a sheet of softwood eight millimetres "
          "thick. The soundboard takes the small motion of the bridge and turns it into a motion of the air, and how long "
          "and how evenly it does so depends on three properties of the wood: its density, its stiffness along and across "
          "the grain, and its internal friction. The first two are easily measured and have been tabulated for every "
          "common species [1, 2]. The third is elusive. It changes with humidity, with temperature and, as violin makers "
          "like to insist, with age.[^invented]"),
    ("p", "Internal friction in dry wood comes from the sliding of polymer chains in the amorphous parts of the cell wall. "
          "Anything that fills the gaps between the chains ought to alter it. Extractives, that is, the small molecules "
          "that can be washed out with an organic solvent, sit exactly there. In the heartwood of tropical species they can "
          "make up a tenth of the mass and lower the loss tangent by half [3]. In spruce they are scarce, usually between "
          "one and two per cent, and were therefore thought to be of no consequence for sound [4]."),
    ("p", "Two findings have put this in doubt. Aged spruce contains oxidised resin acids that are stiffer and less volatile "
          "than the fresh ones [5], and model compounds soaked into new wood in amounts of less than one per cent already "
          "changed its damping measurably [6]. What has been missing is a measurement in the other direction, on old wood "
          "from which the molecules are taken away. Such wood is seldom available, because nobody will cut up a historical "
          "soundboard for the sake of chemistry. When the board of a square piano in our care proved to be beyond repair, "
          "we took the chance."),
    ("h1", "Materials and Methods"),
    ("h2", "The Instrument and Its Wood"),
    ("p", "The piano is an unsigned instrument of five and a half octaves, probably built in a provincial workshop around "
          "1805.[^origin] Its soundboard, of Norway spruce with a mean ring width of 1.1 mm, had been attacked by beetles "
          "along the bass edge and had split in four places. The conservators decided to make a copy and to keep the original "
          "as a study piece. For our work they released the following material:"),
    ("ul", [
        "eleven strips of 150 × 12 × 2.5 mm, cut along the grain from the undamaged treble, tenor and bass regions;",
        "about 40 g of splinters and sawdust collected while the ribs were taken off;",
        "a lump of darkened rosin, found between the hitchpin rail and the case, which served as a reference.",
    ]),
    ("p", "New spruce of the same ring width, felled in 2019 and dried in air, was used as a control. All samples were kept at "
          "20 °C and 55% relative humidity for six weeks before the first measurement."),
    ("h2", "Extraction and Analysis"),
    ("p", "Extraction followed the usual sequence for softwoods with small changes that keep the strips straight. Each strip "
          "went through these steps:"),
    ("ol", [
        "weighing and measuring of the resonance as received;",
        ("extraction in a glass cell with a flow of 2 mL min^{−1}, first with", [
            "hexane for 12 h, which removes fats and most of the terpenes, and then with",
            "acetone containing 5% of water for 24 h, which removes phenols, lignans and oxidised resin acids;",
        ]),
        "slow drying between glass plates, one week at 20 °C;",
        "weighing and measuring of the resonance again.[^dry]",
    ]),
    ("p", "The extracts were concentrated under nitrogen, silylated and injected into a gas chromatograph with a mass "
          "spectrometer as detector. Compounds were identified by comparison with authentic samples, except for two lignans "
          "whose spectra were interpreted by hand. Contents refer to dry wood and are means of three injections. The relative "
          "standard deviation was below 6% throughout."),
    ("h2", "Measurement of Damping"),
    ("p", "Strips were hung from two silk threads at the nodes of their first bending mode and excited by a small coil acting "
          "on a steel foil of 4 mg. The velocity at the free end was read by a laser vibrometer. The loss tangent follows from "
          "the width Δ*f* of the resonance at half of its height and the resonance frequency *f*_{0}:"),
    ("eq", ("tan delta = frac(Delta f, sqrt(3) f_0)", "tan δ = Δf / (√3 f0)", "1")),
    ("p", "where the factor √3 accounts for the half-height definition. Young’s modulus was calculated from the same resonance "
          "by the thin-beam formula. Because the strips shrink a little on extraction, their dimensions were measured anew each "
          "time; ignoring this would have feigned a loss of stiffness of two per cent."),
    ("h1", "Results"),
    ("h2", "Simple Phenols and Aldehydes"),
    ("fig", "f1"),
    ("p", "The acetone extracts were pale yellow and smelled faintly of vanilla. Their volatile part consisted of guaiacol (**1**), "
          "furfural (**2**) and vanillin (**3**), shown in Fig. 1. All three are known products of the slow breakdown of wood: the "
          "first and the third stem from lignin, the second from the pentoses of the hemicelluloses. In fresh spruce they are "
          "found in traces only. Their presence here, at 35 to 120 mg kg^{−1}, can be taken as a clock of a kind, though one that "
          "runs faster in a warm room."),
    ("table", "t1"),
    ("p", "Table 1 lists the contents in the three regions of the board. The treble region is richer in every compound. We see two "
          "possible reasons. The treble part of the board is thinner and was cut nearer to the pith, where the heartwood lies; "
          "it is also the part farthest from the tuning pins and so from the hands and the breath of the player. The data do "
          "not allow us to choose between them."),
    ("h2", "Lignans and Resin Acids"),
    ("fig", "s1"),
    ("p", "Of the two lignans, pinoresinol (**5**) was the more abundant. It arises when two molecules of coniferyl alcohol (**4**) "
          "are coupled head to head by an oxidising enzyme (Scheme 1). In the living tree the coupling is directed by a protein "
          "and gives one enantiomer only. The material from the soundboard rotated polarised light to the right, with a specific "
          "rotation of +79°, and is therefore of biological origin and not a late product of chance oxidation, which would have "
          "given the racemate."),
    ("fig", "f2"),
    ("p", "The resin acids were represented by abietic acid, in small amount, and by its aromatised relative dehydroabietic acid "
          "(**6**), which makes up more than half of the whole extract (Fig. 2). The ratio of the two rises with the age of the "
          "wood, as was shown on dated roof beams [7]. In our strips it was 14 : 1, against 1 : 3 in the control and 11 : 1 in the "
          "lump of rosin. A trace of quercetin (**7**) was found in the splinters but not in the strips. Since spruce does not "
          "form it in the wood, we suppose that it came from a dye, perhaps from the yellow varnish of the case. The varnish "
          "itself has not survived in a state that would let us test the idea, and no record of its preparation is known."),
    ("h2", "Stiffness and Loss Tangent"),
    ("p", "The mechanical results for the strips are collected in Table 2. Density fell by about one per cent, as expected from the "
          "mass of the extract. The modulus did not change within the error of the method. The loss tangent, however, rose in "
          "every strip, by 22% in the bass and by up to 31% in the treble. The control strips of new wood, treated in the same way, "
          "gained no more than 4%."),
    ("fig", "f3"),
    ("p", "Higher modes of the strips extend the range to 2.2 kHz (Fig. 3). The difference between the two curves grows with the "
          "frequency, from 1.4 × 10^{−3} at 110 Hz to about 2.6 × 10^{−3} at the upper end. A plain viscous lubricant would do the "
          "opposite. The shape is that of a filler which stiffens the amorphous matrix and slows the motion of its chains, so that "
          "the relaxation is shifted out of the audible band."),
    ("table", "t2"),
    ("h2", "A Note on the Sound"),
    ("fig", "f5"),
    ("p", "Does any of this matter to the ear? To find out, two otherwise equal soundboards were made of new spruce for the copy of "
          "the piano. One was impregnated with 1.2% of a mixture made after Table 1, the resin acid being by far the largest part, "
          "and beads of which are seen in Fig. 4. The other was left as it was. The same passage (Fig. 5) was played on both by a "
          "player who did not know which board was fitted, and was recorded at a distance of one metre."),
    ("fig", "f4"),
    ("p", "Sixteen listeners heard pairs of recordings in random order and were asked whether the boards were the same.[^ear] For "
          "the notes above *f*^{2} they were right in 71% of the cases, for those below *c*^{1} in 52%, which is no better than "
          "chance. Those who heard a difference described the impregnated board as clearer or drier. None called it louder. The "
          "decay times in Table 3 point the same way: the gain is confined to the upper two octaves, where a few tenths of a second "
          "are a large part of the whole."),
    ("table", "t3"),
    ("p", "The inharmonicity of the strings, which is given in the same table, is a property of the wire and not of the board. It is "
          "listed because it limits how well two recordings can be matched in pitch. Between the two boards the partials differed "
          "by less than 2 cents,[^unit] well below what is noticed in a melody."),
    ("h1", "Discussion"),
    ("h2", "Fillers or Lubricants"),
    ("p", "The older literature treats resin in wood as a lubricant: something oily that lets the fibres slide and so takes energy "
          "out of the vibration. On this view the old practice of leaving boards in the sun, or of washing them with lye, made good "
          "sense. Our strips show the reverse. The molecules that remain after two centuries are solid at room temperature, they "
          "have rigid ring systems, and several of them can form hydrogen bonds to the polysaccharides around them. They hold the "
          "chains in place. What made the wood of the eighteenth century better was perhaps not what it lost but what it kept."),
    ("p", "The fresh resin of a newly felled tree is a different matter. It is liquid, rich in monoterpenes, and does add to the "
          "damping until it has evaporated or hardened. The change from the one state to the other takes some decades and may be "
          "a part of what is called the playing-in of an instrument. It would be worthwhile to follow it on new boards; a first "
          "series was laid down in our climate chamber last autumn."),
    ("h2", "Consequences for Conservation"),
    ("p", "Soundboards are often cleaned before a restoration, sometimes with solvents that go deeper than the dirt. The results "
          "suggest some caution. In practice we now recommend the following:"),
    ("ul", [
        "dust should be removed dry, with a soft brush and a vacuum cleaner;",
        "stains may be treated with water and a little surfactant, since water takes out hardly any of the compounds in Table 1;",
        "acetone, ethanol and their mixtures should be kept away from bare soundboard wood.",
    ]),
    ("p", "None of this applies to varnished surfaces, whose behaviour is governed by the varnish. Nor can the results be carried "
          "over to hardwoods, in which the extractives are of another kind and are found in the vessels rather than in the wall."),
    ("h1", "Conclusions"),
    ("p", "Two hundred years after the tree was felled, the soundboard of a square piano still held about one per cent of "
          "extractives, most of it as an oxidised resin acid. Taking it out raised the damping by a quarter. The effect grows "
          "with frequency and can be heard in the treble. We take this as evidence that small molecules, even in small amounts, "
          "are a part of the material that a maker chose and that time has made."),
    ("h0", "Acknowledgements"),
    ("p", "We thank the trustees of the museum for the wood and Ilse Tanaka-Roux for playing the same six bars one hundred and "
          "twelve times without complaint."),
    ("h0", "References"),
]  # fmt: skip

REFERENCES = [
    "Arvidsson, L.; Pell, G. M. *A Table of Tonewoods*; Lantern Press: Northbridge, 1988; pp 41–67.",
    "Castellane, B. Elastic constants of slow-grown spruce. *J. Wood String Sound* **2003**, *2*, 15–29.",
    "Mbeki-Strand, O.; Yamane, T. Heartwood extractives and internal friction. *Ann. Xylol.* **1997**, *31*, 204–211.",
    "Dufresne-Holm, A. Why resin does not matter. *Luthier’s Quart.* **1979**, *12*, 3–8.",
    "Quist, E.; Barros, J.; Nilsen, P. Oxidation of diterpene acids in dated timber. *Chem. Old Mater.* **2011**, *5*, 77–90.",
    "Brandsma, A.; Sørby, K. Impregnation of spruce with model phenols: damping in the audible range. *Acta Mech. Ligni* "
    "**2016**, *23*, 118–131.",
    "Vogelsang, R. *Roof Beams as Archives*; Westerhaven University Press: Westerhaven, 2008.",
    "Petrakis, N. D.; Ólafsson, H. Laser vibrometry of free bars. *Meas. Vib.* **2014**, *40*, 1–12.",
    "Lindqvist-Mori, S.; Achebe, U. Lignans of northern conifers. *Phytochem. Notes* **2001**, *9*, 330–342.",
    "Halvorsen, M. The square piano in the provinces. *Keyboard Stud.* **2019**, *27*, 55–80.",
    "Tran, V. B.; Keller-Ito, M. On the hearing of small differences in decay. *Percept. Sound* **2018**, *6*, 240–251.",
    "Okonjo-Weiss, D. R. *Cleaning Bare Wood*; Museum Papers 17; Sankt Alban, 2020.",
]

CAPTIONS = {
    "f1": ("Figure 1.", "Volatile phenols and aldehydes from the soundboard: guaiacol (**1**), furfural (**2**) and vanillin (**3**)."),
    "s1": ("Scheme 1.", "Oxidative coupling of coniferyl alcohol (**4**) to (+)-pinoresinol (**5**)."),
    "f2": ("Figure 2.", "Dehydroabietic acid (**6**), the main extractive, and quercetin (**7**), found in the splinters only."),
    "f3": ("Figure 3.", "Loss tangent of a treble strip as found (circles) and after extraction (squares). Lines are fits; bars show "
                        "one standard deviation."),
    "f4": ("Figure 4.", "Beads of the aged resin mixture on a strip of new spruce. The largest bead is 6 mm across."),
    "f5": ("Figure 5.", "The passage played in the listening test, engraved from the museum’s transcription."),
    "t1": ("Table 1.", "Extractives in three regions of the soundboard"),
    "t2": ("Table 2.", "Density, stiffness and loss tangent of strips before and after extraction"),
    "t3": ("Table 3.", "Strings, inharmonicity *B* and decay time *T*_{60} with the plain (P) and the impregnated (I) board"),
}  # fmt: skip

# A cell is text or (text, row span, column span); None where a span covers the place.
Cell = str | tuple[str, int, int] | None
TABLE_1: list[list[Cell]] = [
    [("Class", 2, 1), ("Compound", 2, 1), ("Content (mg kg^{−1})", 1, 3), None, None],
    [None, None, "Treble", "Tenor", "Bass"],
    [("Phenols, aldehydes", 3, 1), "Guaiacol (**1**)", "61", "48", "35"],
    [None, "Furfural (**2**)", "88", "72", "64"],
    [None, "Vanillin (**3**)", "120", "97", "n.d."],
    [("Lignans", 2, 1), "Pinoresinol (**5**)", "940", "815", "702"],
    [None, "Matairesinol", "310", "268", "255"],
    [("Resin acids", 2, 1), "Abietic acid", "470", "391", "386"],
    [None, "Dehydroabietic acid (**6**)", "6580", "5490", "5270"],
    [("Sum of all identified compounds", 1, 2), None, "8569", "7181", "6712"],
]
TABLE_2: list[list[Cell]] = [
    [
        ("Strip", 2, 1),
        ("*ρ* (kg m^{−3})", 2, 1),
        ("*E* (GPa)", 2, 1),
        ("*f*_{0} (Hz)", 2, 1),
        ("tan *δ* (10^{−3})", 1, 3),
        None,
        None,
    ],
    [None, None, None, None, "before", "after", "change"],
    ["Treble A", "412", "13.8 ± 0.2", "587.4", "6.12", "8.02", "+31.0%"],
    ["Treble B", "405", "13.1 ± 0.2", "571.9", "6.30", "8.14", "+29.2%"],
    ["Tenor A", "418", "12.7 ± 0.3", "548.0", "6.41", "8.01", "+25.0%"],
    ["Tenor B", "421", "12.9 ± 0.2", "551.3", "6.38", "7.94", "+24.5%"],
    ["Bass A", "433", "11.8 ± 0.3", "519.6", "6.87", "8.38", "+22.0%"],
    ["Control 1", "398", "11.2 ± 0.2", "512.2", "7.95", "8.21", "+3.3%"],
    ["Control 2", "401", "11.5 ± 0.2", "517.8", "7.88", "7.84", "−0.5%"],
]
TABLE_3_HEAD = ["Note", "Length (mm)", "Gauge (mm)", "*B* (10^{−4})", "*T*_{60}, P (s)", "*T*_{60}, I (s)"]


def table_3() -> list[list[Cell]]:
    """Thirty-three notes, every second semitone, from physical scaling rather than from a pen."""
    names = ["C", "D", "E", "F♯", "G♯", "B♭"]
    rows: list[list[Cell]] = [list(TABLE_3_HEAD)]
    for step in range(33):
        frequency = 65.406 * 2 ** (step * 2 / 12)
        length = 1310 / (1 + frequency / 150) ** 0.86
        gauge = 0.62 - 0.0085 * step
        inharmonicity = 3.9e7 * gauge**2 / (frequency**2 * (length / 100) ** 4) * 50
        plain = 11.4 * (65.4 / frequency) ** 0.48
        gain = 1 + 0.10 * max(0.0, step - 20) / 12
        name = names[step % 6] + str(2 + step // 6)
        rows.append(
            [name, f"{length:.0f}", f"{gauge:.2f}", f"{inharmonicity:.2f}", f"{plain:.1f}", f"{plain * gain:.1f}"]
        )
    return rows
