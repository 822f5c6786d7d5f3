import ArgumentParser
import Engine
import Foundation
import Platform

/// The processes that `mpirun` has started this bench as; alone it is one.
enum BenchRanks {
  nonisolated(unsafe) private static var joined: (any Collective)?

  /// Joins them, once.
  static func join() throws -> any Collective {
    if let joined { return joined }
    let collective: any Collective =
      if let launcher = try Launcher.found() {
        try MPICollective(launcher, timeout: 120) { error in
          standardError("error: \(error)\n")
          _exit(1)
        }
      } else {
        SoleRank()
      }
    joined = collective
    return collective
  }

  /// Whether this process is the one that reports.
  static var isMain: Bool { joined.map { $0.rank == 0 } ?? true }
  static func leave() { joined?.finish() }
}

extension Settings {
  /// A step as `training` has it, of a batch in each rank, whose gradients are summed over them.
  func ranksTraining(batch: Int) throws -> Work {
    let collective = try ranks()
    let backend = try backend()
    let session = try makeSession(.training, batch: batch, backend)
    let (images, labels) = (noise(session.plan), Self.labels(count: batch))
    let scale = 1 / Double(labels.knownCount * collective.size)
    return Work(
      unit: .imagesPerSecond(count: batch * collective.size),
      subject: trainingSubject(backend) + " each, ranks: \(collective.size)"
    ) {
      _ = try session.accumulateGradients(images, labels: labels, weights: nil, lossScale: scale)
      try session.reduce(over: collective, hasImages: true)
      _ = try session.apply(Self.usualStep)
    }
  }

  /// The sum over the ranks of as many numbers as the network has trained parameters.
  func ranksSum() throws -> Work {
    let collective = try ranks()
    let count = try Plan(try network(), mode: .training, batchSize: 1, height: imageSize, width: imageSize).layout
      .trainedCount
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
    values.initialize(repeating: 0)
    return Work(
      unit: .milliseconds, subject: "\(count * MemoryLayout<Float>.size / 1_000_000) MB, ranks: \(collective.size)"
    ) {
      try collective.sum(values)
    }
  }

  private func ranks() throws -> any Collective {
    // As many calls in each.
    let collective = try BenchRanks.join()
    if collective.size > 1, seconds > 0 { throw ValidationError("Rows of several ranks need --seconds 0.") }
    return collective
  }
}
