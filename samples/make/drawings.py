"""Drawings for the samples: molecules, a piano system, a plot and a rendered "photograph", all from code.

Every function returns bytes (SVG or JPEG) and gives the same bytes for the same library versions.
"""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np
from PIL import Image

FONTS = Path(os.environ.get("SAMPLE_FONTS", "/usr/share/texmf/fonts/opentype/public/tex-gyre").split(":")[0])

GUAIACOL = "COc1ccccc1O"
FURFURAL = "O=Cc1ccco1"
VANILLIN = "COc1cc(C=O)ccc1O"
CONIFERYL_ALCOHOL = "COc1cc(/C=C/CO)ccc1O"
PINORESINOL = "COc1cc([C@H]2OC[C@H]3[C@@H]2CO[C@@H]3c2ccc(O)c(OC)c2)ccc1O"
DEHYDROABIETIC = "CC(C)c1ccc2c(c1)CC[C@H]1[C@](C)(C(=O)O)CCC[C@]21C"
QUERCETIN = "O=c1c(O)c(-c2ccc(O)c(O)c2)oc2cc(O)cc(O)c12"

PIANO = """\
**kern\t**kern
*clefF4\t*clefG2
*k[b-e-]\t*k[b-e-]
*M3/4\t*M3/4
4BB-\t8ffL
.\t8ee-J
4d F\t8ddL
.\t8ccJ
4d F\t4b-
=\t=
4C\t8.ee-L
.\t16ddJk
4e- G\t4cc
4e- G\t8gL
.\t8aJ
=\t=
4F\t(4b- g
4e- A\t4ccn e-)
4e- A\t8r
.\t8f
=\t=
8DL\t[2dd f
8F\t.
8B-J\t.
8AL\t.
8F#\t4dd]
8DJ\t.
=\t=
4GG\t8b-L
.\t8dd
8GL\t8gg
8B-J\t8ddJ
4d\t4b-
=\t=
2.BB- F\t2.dd b- f
==\t==
*-\t*-
"""


def molecule(smiles: str, *, text: bool, bond: float = 14.4) -> bytes:
    """A structure drawing in the ACS 1996 proportions, as SVG; one user unit is one point.

    `text` keeps atom labels as text in a real font (as drawing programs export them), otherwise they are outlines.
    """
    from rdkit import Chem
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    rdDepictor.SetPreferCoordGen(False)
    mol = Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol)
    rdDepictor.StraightenDepiction(mol)
    drawer = rdMolDraw2D.MolDraw2DSVG(-1, -1, -1, -1, text)
    rdMolDraw2D.SetACS1996Mode(drawer.drawOptions(), rdMolDraw2D.MeanBondLength(mol))
    options = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = bond
    options.padding = 0.03
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
    drawer.FinishDrawing()
    svg = re.sub(r"<!--.*?-->", "", drawer.GetDrawingText(), flags=re.DOTALL)
    return svg.replace("sans-serif", "TeX Gyre Heros").encode()


def molecule_by_indigo(smiles: str, *, bond: float = 15) -> bytes:
    """A structure drawn by another program (Indigo), for its different manner; labels are outlines."""
    from indigo import Indigo
    from indigo.renderer import IndigoRenderer

    indigo = Indigo()
    renderer = IndigoRenderer(indigo)  # the rendering options exist only once there is a renderer
    for name, value in {
        "render-output-format": "svg",
        "render-bond-length": bond,
        "render-relative-thickness": 0.9,
        "render-implicit-hydrogens-visible": True,
        "render-coloring": False,
        "render-stereo-style": "none",
        "render-margins": [1, 1],
    }.items():
        if isinstance(value, list):
            indigo.setOption(name, *value)
        else:
            indigo.setOption(name, value)
    mol = indigo.loadMolecule(smiles)
    mol.dearomatize()
    mol.layout()
    return bytes(renderer.renderToBuffer(mol))


def system(kern: str, *, width: int = 2300, measures: int = 0) -> bytes:
    """A system of music engraved by Verovio (Leland, OFL) as SVG, all outlines."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "inputFrom": "humdrum", "header": "none", "footer": "none", "adjustPageHeight": True, "adjustPageWidth": True,
            "pageWidth": width, "pageMarginLeft": 70, "pageMarginRight": 20, "pageMarginTop": 20, "pageMarginBottom": 20,
            "breaks": "none", "xmlIdSeed": 7, "mnumInterval": 0, "font": "Leland", "scale": 40, "svgViewBox": True,
        }
    )  # fmt: skip
    if not toolkit.loadData(kern):
        raise ValueError("Verovio cannot read this **kern")
    return toolkit.renderToSVG(measures + 1 if measures else 1).encode()


def plot() -> tuple[bytes, dict[str, list[float]]]:
    """Damping against frequency for two strips, with markers and a fit; axis text stays text. Returns SVG and data."""
    import matplotlib as mpl
    from matplotlib import font_manager

    mpl.use("svg")
    import matplotlib.pyplot as plt

    for file in sorted(FONTS.glob("texgyreheros-*.otf")):
        font_manager.fontManager.addfont(str(file))
    frequency = np.array([110, 165, 220, 294, 392, 523, 698, 932, 1245, 1661, 2217.0])
    jitter = np.array([0.21, -0.17, 0.05, -0.12, 0.16, -0.03, -0.19, 0.12, 0.2, -0.08, 0.1])
    before = 5.9 + 1.15 * np.log2(frequency / 110) ** 1.25 / 1.6 + jitter
    after = 7.4 + 1.15 * np.log2(frequency / 110) ** 1.35 / 1.6 - 0.8 * jitter
    style = {
        "svg.fonttype": "none", "svg.hashsalt": "samples", "font.family": "TeX Gyre Heros", "font.size": 7.5,
        "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4,
        "xtick.direction": "in", "ytick.direction": "in", "axes.unicode_minus": True,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure, axes = plt.subplots(figsize=(3.25, 2.35))
        line = np.linspace(100, 2400, 80)
        axes.plot(line, 5.9 + 1.15 * np.log2(np.maximum(line, 110) / 110) ** 1.25 / 1.6, color="0.35", lw=0.8)
        axes.plot(
            line, 7.4 + 1.15 * np.log2(np.maximum(line, 110) / 110) ** 1.35 / 1.6, color="#b03a2e", lw=0.8, ls="--"
        )
        axes.plot(frequency, before, "o", ms=3.4, mfc="white", mec="0.1", mew=0.8, label="as found")
        axes.errorbar(
            frequency, after, yerr=0.35, fmt="s", ms=3.2, color="#b03a2e", lw=0.6, capsize=1.6, label="extracted"
        )
        axes.set_xscale("log")
        axes.set_xlim(100, 2500)
        axes.set_ylim(4, 16)
        axes.set_xticks([100, 200, 500, 1000, 2000], ["100", "200", "500", "1000", "2000"])
        axes.set_xlabel("Frequency (Hz)")
        axes.set_ylabel("Loss tangent × 1000")
        axes.legend(frameon=False, loc="upper left", handletextpad=0.4)
        figure.subplots_adjust(left=0.13, right=0.98, top=0.97, bottom=0.16)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)
    data = {"frequency": frequency.tolist(), "as found": before.round(2).tolist(), "extracted": after.round(2).tolist()}
    return out.getvalue(), data


def photograph(width: int = 840, height: int = 560, quality: int = 80) -> bytes:
    """A rendered scene that passes for a photograph: amber resin beads on a spruce board, lit from the left.

    Ray traced with soft shadows, refraction tint, depth of field by row, film grain and vignetting. JPEG.
    """
    rng = np.random.default_rng(11)
    scale = 2
    w, h = width * scale // 2, height * scale // 2
    noise = _fractal(rng, 512, 6)

    eye = np.array([0.0, 2.1, -4.6])
    look = np.array([0.1, 0.1, 0.6])
    forward = (look - eye) / np.linalg.norm(look - eye)
    right = np.cross([0, 1, 0], forward)
    right /= np.linalg.norm(right)
    up = np.cross(forward, right)
    ys, xs = np.mgrid[0:h, 0:w]
    px = (xs + 0.5) / w * 2 - 1
    py = (1 - (ys + 0.5) / h * 2) * h / w
    rays = forward + 0.62 * (px[..., None] * right + py[..., None] * up)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)

    beads = [  # centre x, z, radius, tint
        (-1.15, 0.55, 0.52, (0.80, 0.38, 0.05)), (0.10, 0.15, 0.66, (0.86, 0.47, 0.08)), (1.35, 0.75, 0.45, (0.62, 0.22, 0.03)),
        (0.95, -0.75, 0.26, (0.90, 0.55, 0.12)), (-0.75, -0.70, 0.20, (0.72, 0.30, 0.04)), (2.2, 2.1, 0.6, (0.78, 0.40, 0.08)),
        (-2.1, 2.3, 0.5, (0.84, 0.46, 0.10)),
    ]  # fmt: skip
    spheres = [(np.array([x, 0.55 * r, z]), r, np.array(t)) for x, z, r, t in beads]

    def sample(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return noise[(v * 512).astype(int) % 512, (u * 512).astype(int) % 512]

    def wood(x: np.ndarray, z: np.ndarray) -> np.ndarray:
        ring = x * 5.2 + 0.35 * sample(x * 0.05 + 0.3, z * 0.02) + 0.12 * np.sin(z * 0.5)
        phase = ring - np.floor(ring)
        late = np.clip((phase - 0.62) / 0.3, 0, 1) ** 2 * (phase < 0.95)
        fibre = sample(x * 2.1, z * 0.045) - 0.5
        pore = (sample(x * 5.3 + 0.2, z * 0.11) > 0.74) * 0.06
        base = np.array([0.83, 0.66, 0.44]) * (1 + 0.18 * fibre[..., None])
        ray = np.clip(sample(x * 0.6, z * 0.9) - 0.63, 0, 1)[..., None] * 0.5
        return (
            base * (1 - late[..., None] * np.array([0.30, 0.42, 0.52]))
            - pore[..., None]
            + ray * np.array([0.12, 0.1, 0.06])
        )

    light = np.array([-3.4, 4.2, -1.2])

    def hit(origin: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nearest = np.full(direction.shape[:-1], 1e9)
        which = np.full(direction.shape[:-1], -1)
        for index, (centre, radius, _) in enumerate(spheres):
            oc = origin - centre
            b = (oc * direction).sum(-1)
            c = (oc * oc).sum(-1) - radius**2
            disc = b * b - c
            t = -b - np.sqrt(np.maximum(disc, 0))
            ok = (disc > 0) & (t > 1e-3) & (t < nearest)
            nearest, which = np.where(ok, t, nearest), np.where(ok, index, which)
        return nearest, which

    def floor(point: np.ndarray, soft: int = 10) -> np.ndarray:
        colour = wood(point[..., 0], point[..., 2])
        shade = np.zeros(point.shape[:-1])
        glow = np.zeros((*point.shape[:-1], 3))
        for _ in range(soft):
            target = light + rng.normal(0, 0.28, (*point.shape[:-1], 3))
            direction = target - point
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            distance, which = hit(point, direction)
            blocked = distance < 1e8
            shade += ~blocked
            for index, (_, _, tint) in enumerate(spheres):
                glow += (which == index)[..., None] * tint * 0.42
        direct = shade[..., None] / soft + glow / soft
        near = np.ones(point.shape[:-1])
        for centre, radius, _ in spheres:
            gap = np.linalg.norm(point[..., [0, 2]] - centre[[0, 2]], axis=-1) / radius
            near *= 1 - 0.42 * np.exp(-((gap / 1.05) ** 4))
        falloff = 1 / (1 + 0.035 * ((point - light) ** 2).sum(-1))
        return colour * (0.30 * near[..., None] + 1.45 * direct * falloff[..., None])

    t_floor = -eye[1] / np.minimum(rays[..., 1], -1e-3)
    ground = eye + rays * t_floor[..., None]
    image = floor(ground)
    depth = np.where(rays[..., 1] < -1e-3, t_floor, 40)
    haze = np.clip((depth - 6.0) / 9.0, 0, 1)[..., None]
    image = image * (1 - haze) + np.array([0.20, 0.17, 0.15]) * haze

    t, which = hit(eye, rays)
    for index, (centre, radius, tint) in enumerate(spheres):
        mask = which == index
        point = eye + rays[mask] * t[mask][:, None]
        normal = (point - centre) / radius
        view = -rays[mask]
        to_light = light - point
        to_light /= np.linalg.norm(to_light, axis=-1, keepdims=True)
        half = to_light + view
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        facing = np.clip((normal * view).sum(-1), 0, 1)
        fresnel = 0.04 + 0.96 * (1 - facing) ** 5
        # Seen through: the refracted ray meets the board, filtered by the length of resin that it crossed.
        eta = 1 / 1.54
        cosine = facing
        bent = eta * rays[mask] + (eta * cosine - np.sqrt(1 - eta**2 * (1 - cosine**2)))[:, None] * normal
        length = 2 * radius * np.abs((normal * bent).sum(-1))
        inside = point + bent * length[:, None]
        through = wood(inside[:, 0], inside[:, 2]) * 0.95
        thick = length[:, None] / radius
        body = through * np.exp(-thick * 1.25 * (1 - tint)) * tint * 1.1
        lit = np.clip(-(normal * to_light).sum(-1), 0, 1)[:, None] * tint * 0.75  # light focused on the far side
        wrap = np.clip((normal * to_light).sum(-1) * 0.5 + 0.5, 0, 1)[:, None] * tint * 0.28
        mirror = rays[mask] + 2 * facing[:, None] * normal
        sky = np.clip(mirror[:, 1], 0, 1)[:, None] * np.array([0.75, 0.82, 0.9]) * 0.7 + 0.12
        window = ((np.abs(mirror[:, 0] + 0.52) < 0.2) & (np.abs(mirror[:, 1] - 0.62) < 0.16))[:, None] * 2.6
        spark = np.clip((normal * half).sum(-1), 0, 1)[:, None] ** 420 * 4
        dust = 1 - 0.15 * (sample(normal[:, 0] * 0.7, normal[:, 1] * 0.7) > 0.68)[:, None]
        image[mask] = (body + lit + wrap) * dust + (sky + window) * fresnel[:, None] + spark + window * 0.10
        depth[mask] = t[mask]

    image = np.clip(image, 0, 6)
    image = _lens(image, depth, focus=4.7)
    radius = np.sqrt(px**2 + (py * w / h) ** 2)
    image *= (1 - 0.22 * radius**2)[..., None]
    image = image * (1 + 0.15 * image) / (1 + 0.85 * image) * 1.22  # film-like shoulder
    image = np.clip(image, 0, 1) ** (1 / 2.0)
    grain = rng.normal(0, 0.016, image.shape[:2])[..., None] + rng.normal(0, 0.007, image.shape)
    image = np.clip(image + grain, 0, 1)
    out = io.BytesIO()
    picture = Image.fromarray((image * 255).astype(np.uint8)).resize((width, height), Image.Resampling.LANCZOS)
    picture.save(out, "JPEG", quality=quality, dpi=(250, 250))
    return out.getvalue()


def _fractal(rng: np.random.Generator, size: int, octaves: int) -> np.ndarray:
    """Tileable fractal noise in 0..1."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        cells = 8 * 2**octave
        grid = rng.random((cells, cells))
        tiled = np.pad(grid, ((0, 1), (0, 1)), mode="wrap")
        at = np.arange(size) * cells / size
        low = at.astype(int)
        part = (at - low) ** 2 * (3 - 2 * (at - low))
        rows = tiled[low] * (1 - part[:, None]) + tiled[low + 1] * part[:, None]
        total += (rows[:, low] * (1 - part) + rows[:, low + 1] * part) * 0.6**octave
    return (total - total.min()) / (total.max() - total.min())


def _lens(image: np.ndarray, depth: np.ndarray, focus: float) -> np.ndarray:
    """Blur by distance from the plane of focus: a stack of blurred copies, mixed by depth."""
    blur = np.clip(np.abs(1 / depth - 1 / focus) * 34, 0, 5.5)
    levels = [0.45, 1.4, 3.0, 5.5]
    stack = [_gaussian(image, level) for level in levels]
    result = stack[0].copy()
    for low, high, a, b in zip(levels, levels[1:], stack, stack[1:], strict=False):
        share = np.clip((blur - low) / (high - low), 0, 1)[..., None]
        inside = (blur >= low)[..., None]
        result = np.where(inside, a * (1 - share) + b * share, result)
    return result


def _gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """Separable Gaussian blur of rows and columns, edges repeated."""
    reach = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in range(image.ndim)]
        wide = np.pad(image, pad, mode="edge")
        size = image.shape[axis]
        image = sum(w * np.take(wide, range(i, i + size), axis=axis) for i, w in enumerate(weights))
    return image
