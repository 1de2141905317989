"""Trains DDSP instruments: a folder of recorded notes in, a model of grooved's contract, its card and figures out.

Rooms, in the order in which they are passed:

    recordings  files, the notes and dynamics their names tell, what can't be used and why
    pitch       fundamental frequency, frame by frame
    level       loudness, frame by frame; dynamics put back where the recordings were evened out
    analysis    partials and noise measured in the sound
    material    all of the above for a folder, kept on disk; which notes are held out
    sequence    notes joined into phrases: gaps, legato, crescendi
    net         the network, as PyTorch trains it
    graph       the network, as ONNX runs it; contract: names, scalings, metadata
    synth       sound from controls (PyTorch), and `loss`, the multi-scale spectral distance
    train       both stages of training, resumable
    measure     figures on held-out notes; sanity: extremes; card: the model's page and pictures
"""
