"""The same epoch by Lightning, in an environment of its own."""

import logging

import lightning
import torch

from benchmarks.contenders.training import BATCH, LOSS, LR, ROWS, network, pictures


class Module(lightning.LightningModule):
    """The network as Lightning wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network("mlp")

    def training_step(self, batch, _):
        X, y = batch
        return LOSS(self.model(X), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=LR)


def lightning_loop(rows: int = ROWS, barebones: bool = False):
    """A Trainer without logger, checkpoints and bar; ``barebones``: Lightning's own least."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = torch.utils.data.TensorDataset(*pictures(rows))
    batches = torch.utils.data.DataLoader(data, BATCH, shuffle=True)
    module = Module()
    switches = ("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary")
    quiet = {"barebones": True} if barebones else dict.fromkeys(switches, False)

    def run() -> dict[str, int]:
        trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, **quiet)
        trainer.fit(module, batches)
        return {"steps": trainer.global_step}

    return run
