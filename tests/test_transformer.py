"""course_lib.transformer against torch's layers, slow loops, singular values and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib import transformer as lib
from course_lib.attention import causal_mask

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
on_devices = pytest.mark.parametrize("device", DEVICES)
SMALL = {"symbols": 7, "width": 8, "layers": 2, "heads": 2, "block": 12}
KINDS = ["learned", "sinusoidal", "rotary", "none"]
NEWER = {"norm": "rms", "activation": "relu2", "qk_norm": True, "value_embeddings": True}


def draw(seed, *shape, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).to(device)


def tokens_of(seed, *shape, symbols=7, device="cpu"):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(symbols, shape, generator=g).to(device)


def gpt(seed=0, device="cpu", **settings):
    """A small GPT in float64 whose weights, tables of values included, are far from zero."""
    model = lib.GPT(**{**SMALL, **settings}, device=device).double().eval()
    fill(model, seed)
    return model


def fill(model, seed):
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.copy_(draw(100 * seed + k, *p.shape) * 0.4 + (p.ndim == 1))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def spread_slopes(*outputs):
    """Backward from each output, from a sum in which every number has a weight of its own."""
    for y in outputs:
        (y * draw(99, *y.shape).to(y)).sum().backward()


# Positions


@pytest.mark.parametrize(("T", "D", "base"), [(1, 2, 10.0), (9, 6, 10_000.0), (30, 8, 100.0)])
def test_sinusoidal_equals_its_formula(T, D, base):
    p = lib.sinusoidal(T, D, base)
    assert p.shape == (T, D)
    for t in range(T):
        for i in range(D // 2):
            angle = t / base ** (2 * i / D)
            wanted = torch.tensor([math.sin(angle), math.cos(angle)])
            torch.testing.assert_close(p[t, 2 * i : 2 * i + 2], wanted, atol=1e-5, rtol=0)


def test_dot_products_of_sinusoidal_places_depend_on_the_distance():
    p = lib.sinusoidal(50, 16).double()
    dots = p @ p.T
    for distance in range(50):
        diagonal = dots.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)


@on_devices
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("base", [10_000.0, 50.0])
def test_rotary_products_depend_on_the_distance_and_keep_the_norm(seed, base, device):
    q, k = draw(seed, 8, device=device), draw(seed + 1, 8, device=device)
    Q, K = (lib.rotate(one.expand(2, 20, 8), base=base) for one in (q, k))  # the same at each place
    torch.testing.assert_close(Q.norm(dim=-1), q.norm().expand(2, 20), atol=1e-6, rtol=0)
    dots = (Q @ K.mT)[0]
    for distance in range(-19, 20):
        diagonal = dots.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    assert dots[0].std() > 0.1  # but on the distance it does depend


@pytest.mark.parametrize("start", [0, 1, 7])
def test_rotary_is_a_product_of_complex_numbers(start):
    T, d = 5, 6
    x = draw(0, 3, T, d)
    speed = 10_000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    angle = torch.arange(start, start + T)[:, None] * speed
    turned = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(angle), angle)
    wanted = torch.cat([turned.real, turned.imag], -1)
    torch.testing.assert_close(lib.rotate(x, start), wanted, atol=1e-5, rtol=0)
    assert torch.equal(lib.rotate(x, 0)[:, 0], x[:, 0])
    longer = torch.cat([draw(9, 3, start, d), x], 1)
    close(lib.rotate(longer)[:, start:], lib.rotate(x, start))


def test_positions_want_an_even_width():
    with pytest.raises(ValueError, match="the width must be even, .* got 3"):
        lib.sinusoidal(4, 3)
    with pytest.raises(ValueError, match="got 5"):
        lib.rotate(torch.zeros(2, 5))


# Attention and the block, against torch


@on_devices
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("B", "T", "D", "heads"), [(1, 1, 2, 1), (3, 5, 8, 2), (2, 7, 6, 3)])
def test_self_attention_equals_torch(B, T, D, heads, causal, seed, device):
    ours = lib.SelfAttention(D, heads, causal=causal).double().to(device)
    fill(ours, seed)
    theirs = nn.MultiheadAttention(D, heads, bias=False, batch_first=True).double().to(device)
    theirs.load_state_dict({"in_proj_weight": ours.qkv.weight, "out_proj.weight": ours.out.weight})
    x, x2 = (draw(seed, B, T, D, device=device).requires_grad_() for _ in range(2))
    forbidden = ~causal_mask(T, device=device) if causal else None
    y, y2 = ours(x), theirs(x2, x2, x2, attn_mask=forbidden)[0]
    close(y, y2)
    spread_slopes(y, y2)
    close(x.grad, x2.grad)
    close(ours.qkv.weight.grad, theirs.in_proj_weight.grad)
    close(ours.out.weight.grad, theirs.out_proj.weight.grad)


def named_like_torch(block):
    """The weights of our block under the names of torch's layers."""
    w = {
        "self_attn.in_proj_weight": block.attention.qkv.weight,
        "self_attn.out_proj.weight": block.attention.out.weight,
        "linear1.weight": block.mlp.up.weight,
        "linear2.weight": block.mlp.out.weight,
        "norm1.weight": block.norm_1.weight,
        "norm2.weight": block.norm_2.weight,
    }
    if isinstance(block, lib.DecoderBlock):
        cross = torch.cat([block.cross.q.weight, block.cross.kv.weight])
        w |= {
            "multihead_attn.in_proj_weight": cross,
            "multihead_attn.out_proj.weight": block.cross.out.weight,
            "norm3.weight": block.norm_3.weight,
        }
    return w


def torchs(kind, D, heads, place, device="cpu", activation="gelu"):
    return kind(
        D,
        heads,
        4 * D,
        dropout=0.0,
        activation=activation,
        batch_first=True,
        norm_first=place == "pre",
        bias=False,
        dtype=torch.float64,
        device=device,
    )


@on_devices
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("place", ["pre", "post"])
def test_a_block_equals_torch(place, causal, seed, device):
    B, T, D = 3, 5, 8
    ours = lib.Block(D, 2, causal=causal, place=place).double().to(device)
    fill(ours, seed)
    theirs = torchs(nn.TransformerEncoderLayer, D, 2, place, device)
    theirs.load_state_dict(named_like_torch(ours))
    x, x2 = (draw(seed, B, T, D, device=device).requires_grad_() for _ in range(2))
    y = ours(x)
    y2 = theirs(x2, src_mask=~causal_mask(T, device=device) if causal else None)
    close(y, y2)
    spread_slopes(y, y2)
    close(x.grad, x2.grad)
    for name, p in theirs.named_parameters():
        close(named_like_torch(ours)[name].grad, p.grad)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_relu_squared_and_rms(place):
    block = lib.Block(4, 1, causal=False, place=place, norm="rms", activation="relu2").double()
    fill(block, 0)
    x = draw(0, 2, 3, 4)
    rms = lambda x: x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt()
    net = lambda x: (x @ block.mlp.up.weight.T).clamp(min=0) ** 2 @ block.mlp.out.weight.T
    if place == "pre":
        h = x + block.attention(rms(x))
        wanted = h + net(rms(h))
    else:
        h = rms(x + block.attention(x))
        wanted = rms(h + net(h))
    close(block(x), wanted)
    assert not list(block.norm_1.parameters())


@on_devices
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize(("T", "S"), [(4, 6), (5, 1)])
def test_a_decoder_block_equals_torch(T, S, place, seed, device):
    B, D = 2, 8
    ours = lib.DecoderBlock(D, 2, place=place).double().to(device)
    fill(ours, seed)
    theirs = torchs(nn.TransformerDecoderLayer, D, 2, place, device)
    theirs.load_state_dict(named_like_torch(ours))
    x, memory = draw(seed, B, T, D, device=device), draw(seed + 5, B, S, D, device=device)
    inputs = [[x.clone().requires_grad_(), memory.clone().requires_grad_()] for _ in range(2)]
    y = ours(*inputs[0])
    y2 = theirs(*inputs[1], tgt_mask=~causal_mask(T, device=device))
    close(y, y2)
    spread_slopes(y, y2)
    for a, b in zip(*inputs, strict=True):
        close(a.grad, b.grad)
    kept = []  # piece by piece with a cache: the same
    pieces = [ours(part, memory, kept) for part in x.split(2, 1)]
    close(torch.cat(pieces, 1), y)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_a_transformer_equals_torch():
    ours = lib.Transformer(8, 2, 3, device="cpu").double()
    fill(ours, 1)
    theirs = nn.Transformer(
        8, 2, 3, 3, 32, 0.0, F.gelu, batch_first=True, norm_first=True, bias=False
    ).double()
    state = {
        "encoder.norm.weight": ours.encoder.norm.weight,
        "decoder.norm.weight": ours.norm.weight,
    }
    for side, blocks in (("encoder", ours.encoder.blocks), ("decoder", ours.blocks)):
        for i, block in enumerate(blocks):
            named = named_like_torch(block)
            state |= {f"{side}.layers.{i}.{name}": w for name, w in named.items()}
    theirs.load_state_dict(state)
    source, target = draw(0, 2, 6, 8), draw(1, 2, 4, 8)
    wanted = theirs(source, target, tgt_mask=~causal_mask(4, device="cpu"))
    close(ours(source, target), wanted)


def test_the_stack_of_post_norm_has_no_norm_behind_it():
    encoder = lib.Encoder(8, 2, 2, place="post", device="cpu").double()
    x = draw(0, 1, 3, 8)
    close(encoder(x), encoder.blocks[1](encoder.blocks[0](x)))
    assert isinstance(lib.Encoder(8, 2, 2, norm="rms", device="cpu").norm, nn.RMSNorm)


def test_a_block_without_weights_hands_on_what_came():
    block = lib.Block(4, 2, causal=True).double()
    nn.init.zeros_(block.attention.out.weight), nn.init.zeros_(block.mlp.out.weight)
    x = draw(0, 1, 3, 4)
    assert torch.equal(block(x), x)


def test_names_and_widths_are_checked():
    with pytest.raises(ValueError, match="multiple of heads, got 130 and 4; try width=128"):
        lib.SelfAttention(130, 4, causal=True)
    with pytest.raises(ValueError, match="got 3 and 4; try width=4"):
        lib.GPT(5, width=3, heads=4, device="cpu")
    for setting, names in (
        ("place", "pre, post"),
        ("norm", "layer, rms"),
        ("activation", "gelu, relu2"),
        ("positions", "learned, sinusoidal, rotary, none"),
    ):
        with pytest.raises(ValueError, match=f"{setting} must be one of {names}, got 'other'"):
            lib.GPT(**SMALL, device="cpu", **{setting: "other"})


# GPT


@on_devices
@pytest.mark.parametrize("settings", [{}, NEWER, {"place": "post"}])
@pytest.mark.parametrize("positions", KINDS)
def test_no_logit_depends_on_what_comes_later(positions, settings, device):
    model = gpt(positions=positions, device=device, **settings)
    tokens = tokens_of(0, 2, 10, device=device)
    logits = model(tokens)
    for t in range(10):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % 7
        moved = (model(changed) - logits).abs().amax((0, 2)) > 1e-9  # (T,)
        assert not moved[:t].any() and moved[t]
        assert moved[-1] or t == 9  # and it does reach the end


@on_devices
@pytest.mark.parametrize("chunks", [[10], [1] * 10, [4, 6], [3, 1, 5, 1], [1, 9]])
@pytest.mark.parametrize("settings", [{}, NEWER, {"place": "post"}])
@pytest.mark.parametrize("positions", KINDS)
def test_with_a_cache_the_logits_are_the_same(positions, settings, chunks, device):
    model = gpt(positions=positions, device=device, **settings)
    tokens = tokens_of(1, 2, 10, device=device)
    cache = model.new_cache()
    pieces = [model(part, cache) for part in tokens.split(chunks, 1)]
    close(torch.cat(pieces, 1), model(tokens))
    assert len(cache) == 2 and cache[0][0].shape == (2, 2, 10, 4)


def test_a_gpt_is_its_equations():
    model = gpt(positions="learned", layers=1)
    tokens = tokens_of(0, 2, 5)
    x = model.table.weight[tokens] + model.positions.weight[:5]
    x = model.norm(model.blocks[0](x))
    close(model(tokens), x @ model.table.weight.T)
    assert model.head.weight is model.table.weight
    waves = gpt(positions="sinusoidal", layers=0)
    x = waves.table.weight[tokens] + 0.1 * lib.sinusoidal(5, 8)
    close(waves(tokens), waves.norm(x) @ waves.table.weight.T)


def test_without_positions_the_order_before_does_not_matter():
    for positions in KINDS:
        model = gpt(positions=positions, layers=1)
        tokens = torch.tensor([[1, 2, 3, 4, 5]])
        swapped = torch.tensor([[3, 1, 4, 2, 5]])
        same = torch.allclose(model(tokens)[0, -1], model(swapped)[0, -1], atol=1e-9)
        assert same == (positions == "none")


def test_tables_of_values_add_the_symbol_itself():
    model = gpt(positions="none", layers=1, value_embeddings=True)
    plain = gpt(positions="none", layers=1)
    plain.load_state_dict(model.state_dict(), strict=False)
    nn.init.zeros_(model.values[0].weight)
    tokens = tokens_of(0, 1, 6)
    close(model(tokens), plain(tokens))
    fresh = lib.GPT(**SMALL, value_embeddings=True, device="cpu")
    assert all(not table.weight.any() for table in fresh.values)


def test_the_start_is_narrow_and_narrower_where_blocks_add():
    torch.manual_seed(0)
    model = lib.GPT(50, width=128, layers=8, heads=4, block=64, device="cpu")
    for name, p in model.named_parameters():
        if p.ndim == 2:
            wanted = 0.02 / (4 if name.endswith("out.weight") else 1)
            assert p.std().item() == pytest.approx(wanted, rel=0.05), name
    loss = lib.nats(model(tokens_of(0, 4, 32, symbols=50)), tokens_of(1, 4, 32, symbols=50))
    assert loss.item() == pytest.approx(math.log(50), abs=0.1)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_a_text_longer_than_the_positions_is_refused(positions):
    model = gpt(positions=positions)
    with pytest.raises(ValueError, match="positions for 12 symbols, got 13; cut the text"):
        model(tokens_of(0, 1, 13))
    cache = model.new_cache()
    model(tokens_of(0, 1, 8), cache)
    with pytest.raises(ValueError, match="got 13"):
        model(tokens_of(0, 1, 5), cache)


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_rotary_positions_go_on_beyond_the_block(positions):
    assert gpt(positions=positions)(tokens_of(0, 1, 40)).shape == (1, 40, 7)


def test_slopes_of_the_loss_equal_central_differences():
    model = gpt(positions="rotary", layers=1, **NEWER)
    rows = tokens_of(0, 2, 6)
    names = ["table.weight", "blocks.0.attention.qkv.weight", "blocks.0.mlp.up.weight"]
    weights = dict(model.named_parameters())

    def loss(*given):
        named = dict(zip(names, given, strict=True))
        named["head.weight"] = named["table.weight"]
        return lib.nats(torch.func.functional_call(model, named, rows[:, :-1]), rows[:, 1:])

    assert torch.autograd.gradcheck(loss, [weights[n] for n in names], fast_mode=True)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = lib.GPT(**SMALL, dropout=0.5, device="cpu")
    tokens = tokens_of(0, 1, 6)
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


# Looking inside


@on_devices
@pytest.mark.parametrize("settings", [{}, {"qk_norm": True}])
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_attention_maps_are_the_weights_that_mix(positions, settings, device):
    model = gpt(positions=positions, device=device, **settings)
    tokens = tokens_of(0, 3, 6, device=device)
    maps = lib.attention_maps(model, tokens)
    assert maps.shape == (2, 3, 2, 6, 6)
    close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    assert not maps.triu(1).any()
    layer, x = model.blocks[0].attention, draw(3, 3, 6, 8, device=device)
    v = layer.qkv(x).chunk(3, -1)[2].unflatten(-1, (2, -1)).transpose(1, 2)
    mixed = (lib.attention_maps(layer, x)[0] @ v).transpose(1, 2).flatten(2)
    close(layer.out(mixed), layer(x))
    assert not model.blocks[0].attention._forward_pre_hooks  # nothing is left behind


def test_attention_maps_of_an_encoder_look_both_ways():
    vit = lib.ViT(4, 2, 3, width=8, layers=2, heads=2, device="cpu").double()
    maps = lib.attention_maps(vit, draw(0, 2, 1, 4, 4))
    assert maps.shape == (2, 2, 2, 4, 4) and (maps > 0).all()


@pytest.mark.parametrize(("width", "layers", "T"), [(8, 1, 3), (16, 3, 9)])
def test_multiplications_are_those_that_torch_counts(width, layers, T):
    model = lib.GPT(7, width=width, layers=layers, heads=2, block=12, device="cpu").eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens_of(0, 1, T))
    assert 2 * lib.multiplications(model, T) == counter.get_total_flops()
    cache = model.new_cache()
    model(tokens_of(0, 1, T), cache)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens_of(0, 1, 2), cache)
    assert 2 * lib.multiplications(model, 2, past=T) == counter.get_total_flops()


# Learning


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (9, 2), (4, 5, 7), (1, 4)])
def test_orthogonal_acts_on_singular_values_alone(shape, seed, monkeypatch):
    G = draw(seed, *shape)
    U, s, Vh = torch.linalg.svd(G, full_matrices=False)
    a, b, c = 3.4445, -4.775, 2.0315
    s = s / s.norm(dim=-1, keepdim=True)
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    wanted = (U * s[..., None, :]) @ Vh
    rough = lib.orthogonal(G)
    assert rough.dtype == G.dtype and (rough - wanted).norm() / wanted.norm() < 0.15
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.double)  # without the rounding
    close(lib.orthogonal(G), wanted)
    close(lib.orthogonal(100 * G), wanted)  # the size of a gradient does not matter
    assert not lib.orthogonal(0 * G).any()


def test_singular_values_of_an_ordinary_matrix_end_near_one():
    s = torch.linalg.svdvals(lib.orthogonal(draw(0, 30, 100).float()))
    assert s.min() > 0.6 and s.max() < 1.3


@on_devices
@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_muon_equals_torchs(shape, device):
    pair = [[nn.Parameter(draw(k, *shape, device=device).float()) for k in range(2)] for _ in "ab"]
    ours = lib.Muon(pair[0], lr=0.1, momentum=0.9, weight_decay=0.2)
    theirs = torch.optim.Muon(
        pair[1], lr=0.1, momentum=0.9, weight_decay=0.2, nesterov=True, adjust_lr_fn="original"
    )
    for step in range(4):
        for params in pair:
            for k, p in enumerate(params):
                p.grad = draw(10 * step + k, *shape, device=device).float()
        ours.step(), theirs.step()
    for a, b in zip(*pair, strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)  # bfloat16, four steps of 0.1


def test_muon_takes_matrices_only_and_skips_what_has_no_gradient():
    with pytest.raises(ValueError, match=r"takes matrices, got \(3,\); give the rest to AdamW"):
        lib.Muon([nn.Parameter(torch.zeros(3))])
    w = nn.Parameter(torch.ones(2, 2))
    lib.Muon([w]).step()
    assert torch.equal(w, torch.ones(2, 2))


def test_each_weight_has_one_optimizer():
    model = lib.GPT(**SMALL, value_embeddings=True, device="cpu")
    for recipe in ("adamw", "muon"):
        movers = lib.optimizers(model, recipe, lr=0.1, weight_decay=0.3)
        moved = [p for m in movers for group in m.param_groups for p in group["params"]]
        assert sorted(map(id, moved)) == sorted(map(id, model.parameters()))
        for group in (g for m in movers for g in m.param_groups):
            if any(p.ndim < 2 for p in group["params"]):
                assert group["weight_decay"] == 0
    muon = movers[1]
    inside = {id(p) for p in model.blocks.parameters() if p.ndim == 2}
    assert {id(p) for p in muon.param_groups[0]["params"]} == inside
    assert muon.param_groups[0]["lr"] == 0.2 and muon.param_groups[0]["weight_decay"] == 0.3
    with pytest.raises(ValueError, match="recipe must be one of adamw, muon, got 'sgd'"):
        lib.optimizers(model, "sgd")


@on_devices
def test_a_step_of_learning_recomputed(device):
    text = tokens_of(0, 60, device=device)
    model = gpt(device=device)
    copy = gpt(device=device)
    losses = lib.learn(model, text, steps=2, batch=3, lr=0.01, seed=4, progress=False)
    draws = torch.Generator().manual_seed(4)
    matrices = [p for p in copy.parameters() if p.ndim == 2]
    gains = [p for p in copy.parameters() if p.ndim < 2]
    adam = torch.optim.AdamW(
        [{"params": matrices}, {"params": gains, "weight_decay": 0}],
        betas=(0.9, 0.99),
        weight_decay=0.1,
    )
    copy.train()
    for step in range(2):
        at = torch.randint(60 - 12, (3, 1), generator=draws)[:, 0].tolist()
        x = torch.stack([text[i : i + 12] for i in at])
        y = torch.stack([text[i + 1 : i + 13] for i in at])
        loss = F.cross_entropy(copy(x).transpose(1, 2), y)
        assert loss.item() == pytest.approx(losses[step])
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(copy.parameters(), 1.0)
        for group in adam.param_groups:
            group["lr"] = 0.01 * lib.one_cycle(step / 2)
        adam.step()
    for a, b in zip(model.parameters(), copy.parameters(), strict=True):
        close(a, b)


@pytest.mark.parametrize("recipe", ["adamw", "muon"])
def test_one_seed_learns_the_same_and_learns(recipe):
    text = torch.arange(400) % 7
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = lib.GPT(**SMALL, positions="rotary", device="cpu")
        seen = []
        settings = {"steps": 60, "recipe": recipe, "lr": 0.02, "watch": seen.append}
        runs.append(lib.learn(model, text, seed=seed, progress=False, **settings))
        assert seen == list(range(1, 61))
    assert runs[0] == runs[1] != runs[2]
    assert runs[0][-1] < 0.1 < runs[0][0]
    written = lib.generate(model, torch.tensor([3, 4]), 20, temperature=0)
    assert written.tolist() == [(5 + i) % 7 for i in range(20)]


def test_learning_in_bfloat16_learns_too():
    torch.manual_seed(0)
    model = lib.GPT(**SMALL, positions="rotary", device="cpu")
    text = torch.arange(400) % 7
    settings = {"steps": 60, "recipe": "muon", "lr": 0.02, "dtype": torch.bfloat16}
    assert lib.learn(model, text, progress=False, **settings)[-1] < 0.2
    assert all(p.dtype == torch.float32 for p in model.parameters())


@on_devices
@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize(("N", "T"), [(61, 12), (60, 12), (30, 5)])
def test_judge_is_a_plain_loop(N, T, batch, device):
    model, text = gpt(device=device), tokens_of(0, N, device=device)
    losses = []
    for start in range(0, (N - 1) // T * T, T):
        log_p = model(text[None, start : start + T])[0].log_softmax(-1)
        losses += [-log_p[i, text[start + i + 1]].item() for i in range(T)]
    assert lib.judge(model.train(), text, T, batch) == pytest.approx(sum(losses) / len(losses))
    assert not model.training


def test_too_short_a_text_is_refused():
    model = gpt()
    with pytest.raises(ValueError, match="takes 12 symbols and the next, got a text of 12"):
        lib.learn(model, tokens_of(0, 12), steps=1, progress=False)
    with pytest.raises(ValueError, match="takes 12 symbols and the next, got a text of 12"):
        lib.judge(model, tokens_of(0, 12), 12)


# Writing


def slow_filter(logits, temperature, top_k, top_p):
    """One row, symbol by symbol."""
    z = [v / temperature for v in logits.tolist()]
    if top_k:
        least = sorted(z)[::-1][:top_k][-1]
        z = [v if v >= least else -math.inf for v in z]
    top = max(z)
    p = [math.exp(v - top) for v in z]
    p = [v / sum(p) for v in p]
    kept, total = [0.0] * len(p), 0.0
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        if total < top_p:
            kept[i] = p[i]
        total += p[i]
    return torch.tensor([v / sum(kept) for v in kept], dtype=torch.float64)


@on_devices
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 9, 50])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5, 1e-6])
def test_filtered_equals_a_slow_loop(temperature, top_k, top_p, device):
    logits = draw(0, 5, 9, device=device) * 2
    p = lib.filtered(logits, temperature, top_k, top_p)
    wanted = torch.stack([slow_filter(row, temperature, top_k, top_p) for row in logits])
    close(p, wanted.to(device))


def test_filtered_in_closed_cases():
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    close = torch.testing.assert_close
    close(lib.filtered(logits), torch.tensor([0.5, 0.3, 0.2]))
    close(lib.filtered(logits, 0.0), torch.tensor([1.0, 0.0, 0.0]))
    close(lib.filtered(logits, 0.5), torch.tensor([0.25, 0.09, 0.04]) / 0.38)
    close(lib.filtered(logits, top_k=2), torch.tensor([0.625, 0.375, 0.0]))
    close(lib.filtered(torch.zeros(2), top_p=0.5), torch.tensor([1.0, 0.0]))  # half is enough
    close(lib.filtered(logits, top_p=0.51), torch.tensor([0.625, 0.375, 0.0]))
    close(lib.filtered(logits, top_p=1e-9), torch.tensor([1.0, 0.0, 0.0]))  # the first stays
    ties = torch.tensor([0.0, 1.0, 1.0])
    close(lib.filtered(ties, top_k=1), torch.tensor([0.0, 0.5, 0.5]))
    close(lib.filtered(ties, 1e-30), torch.tensor([0.0, 0.5, 0.5]))  # no overflow
    close(lib.filtered(torch.tensor([-1e4, 1e4]), 0.5), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("given", [(-1, None, 1), (1, 0, 1), (1, None, 0), (1, None, 1.1)])
def test_filtered_refuses_other_numbers(given):
    with pytest.raises(ValueError, match=f"got {given[0]}, {given[1]} and {given[2]}"):
        lib.filtered(torch.zeros(3), *given)


@on_devices
@pytest.mark.parametrize("P", [1, 5, 12, 20])
@pytest.mark.parametrize("positions", KINDS)
def test_a_cache_writes_the_same(positions, P, device):
    model = gpt(positions=positions, device=device)
    prompt = tokens_of(0, P, device=device)
    settings = {"temperature": 1.3, "top_k": 6, "top_p": 0.95}
    texts = []
    for cache in (True, False):
        g = torch.Generator().manual_seed(0)
        texts.append(lib.generate(model, prompt, 30, cache=cache, generator=g, **settings))
    assert texts[0].shape == (30,) and torch.equal(*texts)
    assert len(set(texts[0].tolist())) > 2


@pytest.mark.parametrize("P", [3, 12, 15])
def test_greedy_writing_by_hand(P):
    model, prompt = gpt(), tokens_of(2, P)
    text, begin = prompt.tolist(), max(P - 12, 0)
    for _ in range(20):
        if len(text) - begin > 12:
            begin = len(text) - 6
        text.append(model(torch.tensor([text[begin:]]))[0, -1].argmax().item())
    assert lib.generate(model, prompt, 20, temperature=0).tolist() == text[P:]


def test_writing_checks_what_it_gets_and_leaves_it_alone():
    model, prompt = gpt(), tokens_of(0, 4)
    before = prompt.clone()
    assert len(lib.generate(model.train(), prompt, 0)) == 0
    lib.generate(model, prompt, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prompt, before) and not model.training
    for wrong in (prompt[:0], prompt[None]):
        with pytest.raises(ValueError, match="expected a prompt"):
            lib.generate(model, wrong, 1)


# Pictures


@pytest.mark.parametrize(("B", "C", "H", "W", "side"), [(2, 1, 8, 8, 2), (3, 2, 6, 9, 3)])
def test_patches_equal_unfold(B, C, H, W, side):
    X = draw(0, B, C, H, W)
    wanted = F.unfold(X, side, stride=side).transpose(1, 2)
    assert torch.equal(lib.patches(X, side), wanted)
    with pytest.raises(ValueError, match=rf"H and W multiples of 5, got \({B}, {C}, {H}, {W}\)"):
        lib.patches(X, 5)


@on_devices
def test_a_vit_is_its_equations_and_a_convolution_cuts_its_patches(device):
    model = lib.ViT(6, 3, 4, width=8, layers=2, heads=2, channels=2, device=device).double()
    fill(model, 0)
    X = draw(1, 5, 2, 6, 6, device=device)
    conv = nn.Conv2d(2, 8, 3, stride=3).double().to(device)
    conv.load_state_dict({"weight": model.embed.weight.view(8, 2, 3, 3), "bias": model.embed.bias})
    x = conv(X).flatten(2).mT + model.positions  # (B, T, D)
    for block in model.encoder.blocks:
        x = block(x)
    close(model(X), model.head(model.encoder.norm(x).mean(1)))


def test_a_vit_without_positions_sees_a_bag_of_patches():
    model = lib.ViT(4, 2, 3, width=8, layers=2, heads=2, device="cpu").double()
    fill(model, 0)
    X = draw(0, 2, 1, 4, 4)
    shuffled = X.roll(2, 3)  # the squares left and right change places
    assert not torch.allclose(model(X), model(shuffled))
    nn.init.zeros_(model.positions)
    close(model(X), model(shuffled))


@on_devices
def test_everything_lives_where_it_was_asked_to(device):
    models = [
        lib.GPT(**SMALL, positions="sinusoidal", device=device),
        lib.Encoder(8, 2, 1, device=device),
        lib.Transformer(8, 2, 1, device=device),
        lib.ViT(4, 2, 3, width=8, layers=1, heads=2, device=device),
    ]
    for model in models:
        assert {p.device.type for p in model.state_dict().values()} == {device}
    assert models[0].waves.device.type == device
