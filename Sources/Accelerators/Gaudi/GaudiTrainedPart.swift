import Engine

/// A part of what is trained, on a card: weights, gradients and moments, each in two or three pieces of memory, of which a launch reads one and writes
/// another, and which then change places.
final class GaudiTrainedPart {
  let part: GaudiLayout.Part
  /// Values.
  let count: Int
  private(set) var weights: GaudiMemory
  private var newWeights: GaudiMemory
  private(set) var first: GaudiMemory
  private var newFirst: GaudiMemory
  private(set) var second: GaudiMemory
  private var newSecond: GaudiMemory
  /// What has been accumulated, where `hasGradients`.
  private(set) var gradients: GaudiMemory
  /// What the next pass writes.
  private(set) var more: GaudiMemory
  private var sum: GaudiMemory
  private(set) var hasGradients = false
  /// Sums of the gradient's squares.
  let squares: GaudiMemory

  init(_ part: GaudiLayout.Part, count: Int, _ device: GaudiDevice, batch: Int) throws(BackendError) {
    func memory() throws(BackendError) -> GaudiMemory {
      try GaudiMemory(4 * count, forBatch: batch, on: device)
    }
    (self.part, self.count) = (part, count)
    weights = try memory()
    newWeights = try memory()
    first = try memory()
    newFirst = try memory()
    second = try memory()
    newSecond = try memory()
    gradients = try memory()
    more = try memory()
    sum = try memory()
    squares = try GaudiMemory(4 * Self.sums, forBatch: batch, on: device)
  }

  /// How many squares' sums there are.
  static let sums = GaudiLayout.row * GaudiLayout.rowsOfSums

  var bytes: Int { 9 * weights.bytes + squares.bytes }

  /// Asks `stream` for zeros in everything: what lies between tensors stays zero.
  func clear(on stream: borrowing GaudiStream) throws(BackendError) {
    for address in [
      weights.address, newWeights.address, first.address, newFirst.address, second.address, newSecond.address,
      gradients.address, more.address, sum.address,
    ] {
      try stream.clear(count, at: address)
    }
    hasGradients = false
  }

  /// Asks for a gradient of zeros where there is none.
  func fillGradients(on stream: borrowing GaudiStream) throws(BackendError) {
    if hasGradients { return }
    try stream.clear(count, at: gradients.address)
    hasGradients = true
  }

  /// What `more` holds is the gradient.
  func takeMore() {
    swap(&gradients, &more)
    hasGradients = true
  }

  /// Of the launch that adds `more` to what there is.
  var accumulation: [GaudiSection: UInt64] { [.total: gradients.address, .more: more.address, .sum: sum.address] }
  func takeSum() { swap(&gradients, &sum) }

  func dropGradients() { hasGradients = false }

  /// Of a step.
  var step: [GaudiSection: UInt64] {
    [
      .weights: weights.address, .gradients: gradients.address, .first: first.address, .second: second.address,
      .newWeights: newWeights.address, .newFirst: newFirst.address, .newSecond: newSecond.address,
    ]
  }

  /// What a step has written is what there is; `writesSecond`: the second moments too.
  func takeStep(writesSecond: Bool) {
    swap(&weights, &newWeights)
    swap(&first, &newFirst)
    if writesSecond { swap(&second, &newSecond) }
    hasGradients = false
  }
}
