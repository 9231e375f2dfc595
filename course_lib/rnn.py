"""Recurrent networks: cells and layers, gradients through time, a model of characters.

Chapter: book/09_rnn. Sources: Elman 1990; Hochreiter & Schmidhuber 1997 and Gers, Schmidhuber &
Cummins 2000 (LSTM); Cho et al. 2014 (GRU). Letters: B batch, T time, D inputs, H hidden units,
L layers, K symbols.
"""

from __future__ import annotations

from torch import Tensor, nn

from .device import pick_device


class CharModel(nn.Module):
    """Predict the next symbol from all symbols before it: a table, a recurrent net, one layer.

    Args:
        symbols: K, how many different ones there are.
        hidden: H, units of each layer; also the length of a symbol's row in the table.
        layers: recurrent layers on top of each other.
        recurrent: a class, called as ``recurrent(H, H, layers, dropout=p, batch_first=True)``: such
            as ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``.
        dropout: chance that an output of a layer is left out on its way to the next, in training.
        device: where the parameters live; None chooses.

    Example:
        >>> model = CharModel(symbols=5, hidden=8, device="cpu")
        >>> logits, state = model(torch.tensor([[0, 3, 1]]))
        >>> logits.shape
        torch.Size([1, 3, 5])

    Source: Karpathy, Johnson & Li 2016, section 3.
    """

    def __init__(
        self,
        symbols: int,
        hidden: int,
        layers: int = 1,
        recurrent=nn.LSTM,
        dropout=0.0,
        device=None,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # torch warns of dropout behind the last layer
        self.table = nn.Embedding(symbols, hidden)
        self.recurrent = recurrent(hidden, hidden, layers, dropout=between, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)
        self.to(pick_device(device))

    def forward(self, tokens: Tensor, state=None) -> tuple[Tensor, object]:
        """Read symbols, tell the next of each.

        Args:
            tokens: numbers of symbols, int64, shape (B, T).
            state: what the recurrent net gave back last time, None at the start of a text.

        Returns:
            Logits (B, T, K), and the state after the last symbol.
        """
        h, state = self.recurrent(self.table(tokens), state)  # (B, T, H)
        return self.head(self.dropout(h)), state  # (B, T, K)
