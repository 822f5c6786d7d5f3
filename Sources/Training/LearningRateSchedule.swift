import Foundation

/// How the learning rate goes down over the epochs.
public enum Schedule: String, CaseIterable, Sendable {
  /// Divided by ten when the validation loss has not improved by 0.01 % for more than `patience` epochs
  /// (`torch.optim.lr_scheduler.ReduceLROnPlateau` with its defaults and factor 0.1).
  case plateau
  /// Half a cosine from the first epoch to behind the last (Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts).
  case cosine
  /// Divided by ten behind each third of the epochs.
  case step
  case constant
}

/// A schedule and how far it has come. Everything that a resumed run needs is in it.
public struct LearningRateSchedule: Equatable, Sendable {
  public let schedule: Schedule
  public let base: Double
  public let epochs: Int
  /// Of `plateau`, in epochs.
  public let patience: Int
  /// How often `plateau` has divided.
  public internal(set) var reductions = 0
  /// The lowest validation loss that counted as better, for `plateau`.
  public internal(set) var bestLoss = Double.infinity
  /// Epochs since then, or since the last division.
  public internal(set) var badEpochs = 0

  public init(_ schedule: Schedule, base: Double, epochs: Int, patience: Int) {
    self.schedule = schedule
    self.base = base
    self.epochs = epochs
    self.patience = patience
  }

  /// The rate of `epoch` (from 0).
  public func rate(epoch: Int) -> Double {
    switch schedule {
    case .plateau: base * pow(0.1, Double(reductions))
    case .cosine: base / 2 * (1 + cos(Double.pi * Double(epoch) / Double(epochs)))
    case .step: base * pow(0.1, Double(3 * epoch / max(epochs, 1)))
    case .constant: base
    }
  }

  /// Takes note of the validation loss behind an epoch.
  public mutating func endEpoch(validationLoss: Double) {
    if validationLoss < bestLoss * (1 - 1e-4) {
      bestLoss = validationLoss
      badEpochs = 0
      return
    }
    badEpochs += 1
    if badEpochs > patience {
      reductions += 1
      badEpochs = 0
    }
  }
}
