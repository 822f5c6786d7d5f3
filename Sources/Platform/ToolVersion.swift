/// The version of this program, as `chexnet --version` prints it and checkpoints record it.
public let toolVersion = "0.1.0"
