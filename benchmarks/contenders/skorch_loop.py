"""The same epoch by skorch, in an environment of its own."""

import skorch
import torch

from benchmarks.contenders.training import BATCH, LR, ROWS, network, pictures


def skorch_loop(rows: int = ROWS):
    """A NeuralNetClassifier without a validation split and without its printed log."""
    X, y = pictures(rows)
    net = skorch.NeuralNetClassifier(
        network("mlp"),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=LR,
        batch_size=BATCH,
        max_epochs=1,
        train_split=None,
        iterator_train__shuffle=True,
        callbacks__print_log=None,
    ).initialize()

    def run() -> dict[str, int]:
        net.partial_fit(X, y)
        return {"steps": len(net.history[-1]["batches"])}

    return run
