"""Linear classifiers, one for each marker, with probabilities that mean what they say."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRENGTH = 20.0  # inverse regularisation
EPOCHS = 20


@dataclass
class Head:
    """The classifier of one marker.

    Attributes:
        values: the values that it knows.
        weights: a sparse matrix, values by features.
        bias: one number for each value.
        sharpness: what scores are multiplied with before they become probabilities (the inverse of a temperature).
    """

    values: tuple[str, ...]
    weights: Any
    bias: NDArray[Any]
    sharpness: float = 1.0

    @classmethod
    def fit(cls, features: Any, values: Sequence[str], weights: Sequence[float], seed: int) -> Head:
        """Fit by logistic regression of each value against the others; a single value is always right."""
        import numpy
        from scipy.sparse import csr_matrix
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import SGDClassifier

        if len(set(values)) == 1:
            return cls((values[0],), csr_matrix(features[:1] * 0), numpy.zeros(1, "float32"))
        share = numpy.asarray(weights, dtype=float) / numpy.mean(weights)
        alpha = 1 / (STRENGTH * len(values))
        model = SGDClassifier(loss="log_loss", alpha=alpha, max_iter=EPOCHS, tol=1e-3, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are enough, and more take time
            model.fit(features, list(values), sample_weight=share)
        coefficients, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            coefficients, bias = numpy.vstack([-coefficients, coefficients]), numpy.concatenate([-bias, bias])
        coefficients[abs(coefficients) < 1e-4] = 0
        return cls(tuple(map(str, model.classes_)), csr_matrix(coefficients.astype("float32")), bias.astype("float32"))

    def scores(self, features: Any) -> NDArray[Any]:
        """Return a number for each row and value; the greatest is the likeliest value's."""
        found: NDArray[Any] = (features @ self.weights.T).toarray() + self.bias
        return found

    def probabilities(self, features: Any) -> NDArray[Any]:
        """Return the probability of each value for each row."""
        from scipy.special import softmax

        found: NDArray[Any] = softmax(self.scores(features) * self.sharpness, axis=1)
        return found


def sharpness(scores: NDArray[Any], right: NDArray[Any], weights: NDArray[Any]) -> float:
    """Return the factor on scores under which the right values are likeliest (temperature scaling).

    Source: Guo et al. 2017, arXiv 1706.04599, section 4.2.

    Args:
        scores: rows by values, of rows that the classifier was not fitted on.
        right: the number of the right value of each row.
        weights: how much each row counts.
    """
    import numpy
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_factor: float) -> float:
        likelihood = log_softmax(scores * numpy.exp(log_factor), axis=1)[numpy.arange(len(right)), right]
        return -float(numpy.average(likelihood, weights=weights))

    return float(numpy.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x))
