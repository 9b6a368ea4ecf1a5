"""Buy till you die: how often customers will buy, whether they still do, and what it is worth.

In reading order: `columns` (what is given), `groups` (equal histories), `maximum` (the likelihood's), `model` and
`purchases` (what all models share), `geometric` (BG/NBD, MBG/NBD), `pareto` (Pareto/NBD, NBD), `discrete` (BG/BB),
`spend` (Gamma-Gamma), `ladder` (from a model that fails to a simpler one), `predictive` (intervals of outcomes),
`backtest` (whether to believe it).
"""

from tierwise.value.btyd.backtest import Backtest, backtest, purchases_of
from tierwise.value.btyd.discrete import BGBB
from tierwise.value.btyd.geometric import BGNBD, MBGNBD
from tierwise.value.btyd.ladder import Ladder, PastRate, fit_ladder
from tierwise.value.btyd.model import FitWarning
from tierwise.value.btyd.pareto import NBD, ParetoNBD
from tierwise.value.btyd.predictive import Calibration, Prediction, predict
from tierwise.value.btyd.spend import GammaGamma

__all__ = [
    "BGBB",
    "BGNBD",
    "MBGNBD",
    "NBD",
    "Backtest",
    "Calibration",
    "FitWarning",
    "GammaGamma",
    "Ladder",
    "ParetoNBD",
    "PastRate",
    "Prediction",
    "backtest",
    "fit_ladder",
    "predict",
    "purchases_of",
]
