"""Layers of Keras that image classifiers do not have, by what they are for."""

from __future__ import annotations

__all__ = ["field_of"]

_FIELDS: dict[str, str] = {
    "text and other sequences": (
        "AbstractRNNCell Bidirectional ConvLSTM1D ConvLSTM1DCell ConvLSTM2D ConvLSTM2DCell CuDNNGRU CuDNNLSTM Embedding "
        "GRU GRUCell IntegerLookup LSTM LSTMCell Masking PositionEmbedding RNN RepeatVector ReversibleEmbedding SimpleRNN "
        "SimpleRNNCell SinePositionEncoding StackedRNNCells StringLookup TextVectorization TimeDistributed "
        "TokenAndPositionEmbedding TransformerDecoder TransformerEncoder"
    ),
    "attention between tokens": (
        "AdditiveAttention Attention CachedMultiHeadAttention GroupedQueryAttention GroupQueryAttention MultiHeadAttention"
    ),
    "volumes or videos": (
        "AveragePooling3D Conv3D Conv3DTranspose ConvLSTM3D Convolution3D Cropping3D GlobalAveragePooling3D "
        "GlobalMaxPooling3D LocallyConnected3D MaxPooling3D UpSampling3D ZeroPadding3D"
    ),
    "tables": "DenseFeatures Discretization HashedCrossing Hashing",
    "sound": "MelSpectrogram STFTSpectrogram",
    "distances between inputs": "Dot",
}


def field_of(class_name: str) -> str | None:
    """Return what layers of a class are for, if image classifiers have none of them; else None.

    Examples
    --------
    >>> field_of("LSTM")
    'text and other sequences'
    """
    return next((field for field, names in _FIELDS.items() if class_name in names.split()), None)
