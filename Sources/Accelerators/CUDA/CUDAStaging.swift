import Engine
import Foundation

/// The images that a session works on, and the next, which are brought meanwhile: each in memory of its own, on both sides.
///
/// Another thread than the session's may bring; it has a stream to itself.
final class CUDAStaging: ImageStage, @unchecked Sendable {
  private let lock = NSLock()
  private let device: CUDADevice
  private let stream: CUDAStream
  private let shape: FeatureShape
  private let batch: Int
  /// In the order in which their images were brought; at most two.
  private var slots: [Slot] = []

  private final class Slot {
    var images: CUDAImages
    /// That the images are on the device.
    let arrived: CUDAEvent
    var content: ImageBatch?
    var isInUse = false
    var isOnItsWay = false

    init(_ images: consuming CUDAImages, arrived: consuming CUDAEvent) {
      self.images = images
      self.arrived = arrived
    }
  }

  /// Memory for one batch; that for a second is asked for when there is one.
  init(_ device: CUDADevice, shape: FeatureShape, batch: Int) throws(BackendError) {
    (self.device, self.shape, self.batch) = (device, shape, batch)
    stream = try CUDAStream(device)
    slots.append(try makeSlot())
  }

  deinit {
    // What is still on its way reads memory that goes with this.
    try? device.makeCurrent()
    try? stream.wait("images on their way")
  }

  /// On the device.
  var bytes: Int { locked { slots.reduce(0) { $0 + $1.images.bytes } } }

  private func locked<Result>(_ body: () throws(BackendError) -> Result) throws(BackendError) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }

  private func locked<Result>(_ body: () -> Result) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return body()
  }

  private func makeSlot() throws(BackendError) -> Slot {
    Slot(try CUDAImages(device, shape: shape, batch: batch), arrived: try CUDAEvent(device))
  }

  private func fill(_ slot: Slot, _ batch: ImageBatch) throws(BackendError) {
    slot.content = nil
    // What was brought and never used.
    if slot.isOnItsWay { try stream.wait("images on their way") }
    slot.isOnItsWay = true
    try slot.images.bring(batch, on: stream)
    try slot.arrived.record(on: stream)
    slot.content = batch
    slots.removeAll { $0 === slot }
    slots.append(slot)
  }

  /// Begins to bring `batch`, if there is a place for it. Where that fails the step says so, which then brings it itself.
  func bring(_ batch: ImageBatch) {
    guard batch.count > 0, batch.count <= self.batch, batch.shape == shape else { return }
    try? locked { () throws(BackendError) in
      try device.makeCurrent()
      if let free = slots.first(where: { !$0.isInUse && $0.content == nil }) {
        try fill(free, batch)
      } else if slots.count < 2 {
        try fill(makeSlot(), batch)
      }
    }
  }

  /// Makes `batch` what a pass on `stream` works on, whose windows and table are at these addresses, until `release`. It is
  /// brought now unless it has been.
  func use(
    _ batch: ImageBatch, windows: DeviceAddress, table: DeviceAddress, on stream: borrowing CUDAStream
  ) throws(BackendError) {
    let slot = try locked { () throws(BackendError) in
      // The same arrays, mostly, which are then not compared value by value.
      if let brought = slots.first(where: { !$0.isInUse && $0.content?.isSame(as: batch) == true }) {
        brought.isInUse = true
        return brought
      }
      guard let slot = slots.first(where: { !$0.isInUse && $0.content == nil }) ?? slots.first(where: { !$0.isInUse })
      else { preconditionFailure("one pass at a time") }
      try fill(slot, batch)
      slot.isInUse = true
      return slot
    }
    try stream.wait(for: slot.arrived)
    try slot.images.describe(batch, windows: windows, table: table, on: stream)
  }

  /// The pass is over.
  func release() {
    locked {
      for slot in slots where slot.isInUse { (slot.isInUse, slot.isOnItsWay, slot.content) = (false, false, nil) }
    }
  }
}
