import Foundation

/// How the learning rate goes down over the epochs.
public enum Schedule: String, CaseIterable, Sendable {
  /// Divided by ten when the validation loss has not improved by 0.01 % for more than `patience` epochs
  /// (`torch.optim.lr_scheduler.ReduceLROnPlateau` with its defaults and factor 0.1: a division that would move the rate by
  /// no more than 10⁻⁸ is left out).
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
  /// Epochs of linear warm-up.
  public let warmupEpochs: Int
  /// How often `plateau` has divided.
  public internal(set) var reductions = 0
  /// The lowest validation loss that counted as better, for `plateau`.
  public internal(set) var bestLoss = Double.infinity
  /// Epochs since then, or since the last division.
  public internal(set) var badEpochs = 0

  public init(_ schedule: Schedule, base: Double, epochs: Int, patience: Int, warmupEpochs: Int = 0) {
    self.schedule = schedule
    self.base = base
    self.epochs = epochs
    self.patience = patience
    self.warmupEpochs = warmupEpochs
  }

  /// The rate of a step, counted from 0 in its epoch of `steps` steps: the schedule's, times (t + 1) / W for the first W steps of a run
  /// with W = `warmupEpochs` · `steps`, t counting the run's steps from 0. So it goes up from 1/W of the base to all of it in equal
  /// steps (Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2; `torch.optim.lr_scheduler.LinearLR` from 1/W in W − 1 steps).
  public func rate(epoch: Int, step: Int, steps: Int) -> Double {
    let (done, warmup) = (epoch * steps + step + 1, warmupEpochs * steps)
    return done < warmup ? rate(epoch: epoch) * Double(done) / Double(warmup) : rate(epoch: epoch)
  }

  /// The schedule's rate in `epoch` (from 0), warm-up apart.
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
      // PyTorch's `eps`.
      let rate = base * pow(0.1, Double(reductions))
      if rate - rate * 0.1 > 1e-8 { reductions += 1 }
      badEpochs = 0
    }
  }
}
