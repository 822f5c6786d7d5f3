import Engine
import Foundation

/// Brings the images of a batch, and of the next meanwhile: each in memory of its own, on both sides.
///
/// Another thread than the session's may bring.
protocol StagesImages: ImageStage {
  /// Memory for one batch on its way to the device.
  associatedtype Images: AnyObject

  var staged: StagedImages<Images> { get }
  func makeImages() throws(BackendError) -> Images
  /// Begins to bring `batch` through `images`. Whoever uses them waits for it on the device.
  func fill(_ images: Images, _ batch: ImageBatch) throws(BackendError)
  /// Until all that was begun is done.
  func settle() throws(BackendError)
}

/// Batches that have been brought: at most two.
final class StagedImages<Images: AnyObject>: @unchecked Sendable {
  private let lock = NSLock()
  fileprivate let shape: FeatureShape
  fileprivate let batch: Int
  /// In the order in which their images were brought.
  fileprivate var slots: [Slot] = []

  fileprivate final class Slot {
    let images: Images
    var content: ImageBatch?
    var isInUse = false
    var isOnItsWay = false

    init(_ images: Images) { self.images = images }
  }

  /// `first`: memory for one batch of `batch` images; that for a second is asked for when there is one.
  init(_ first: Images, shape: FeatureShape, batch: Int) {
    (self.shape, self.batch) = (shape, batch)
    slots.append(Slot(first))
  }

  /// What there is memory for.
  var all: [Images] { locked { slots.map(\.images) } }

  fileprivate func locked<Result>(_ body: () throws(BackendError) -> Result) throws(BackendError) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body()
  }

  fileprivate func locked<Result>(_ body: () -> Result) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return body()
  }
}

extension StagesImages {
  private func fill(_ slot: StagedImages<Images>.Slot, _ batch: ImageBatch) throws(BackendError) {
    slot.content = nil
    // What was brought and never used.
    if slot.isOnItsWay { try settle() }
    slot.isOnItsWay = true
    try fill(slot.images, batch)
    slot.content = batch
    staged.slots.removeAll { $0 === slot }
    staged.slots.append(slot)
  }

  /// Begins to bring `batch`, if there is a place for it. Where that fails the step says so, which then brings it itself.
  func bring(_ batch: ImageBatch) {
    guard batch.count > 0, batch.count <= staged.batch, batch.shape == staged.shape else { return }
    try? staged.locked { () throws(BackendError) in
      if let free = staged.slots.first(where: { !$0.isInUse && $0.content == nil }) {
        try fill(free, batch)
      } else if staged.slots.count < 2 {
        try fill(StagedImages<Images>.Slot(makeImages()), batch)
      }
    }
  }

  /// What `batch` comes in, which is the caller's until `release`. It is brought now unless it has been.
  func take(_ batch: ImageBatch) throws(BackendError) -> Images {
    try staged.locked { () throws(BackendError) in
      // The same arrays, mostly, which are then not compared value by value.
      if let brought = staged.slots.first(where: { !$0.isInUse && $0.content?.isSame(as: batch) == true }) {
        brought.isInUse = true
        return brought.images
      }
      guard
        let slot = staged.slots.first(where: { !$0.isInUse && $0.content == nil })
          ?? staged.slots.first(where: { !$0.isInUse })
      else { preconditionFailure("one pass at a time") }
      try fill(slot, batch)
      slot.isInUse = true
      return slot.images
    }
  }

  /// The pass is over.
  func release() {
    staged.locked {
      for slot in staged.slots where slot.isInUse {
        (slot.isInUse, slot.isOnItsWay, slot.content) = (false, false, nil)
      }
    }
  }
}

/// Memory that threads write parts of, each its own.
struct SharedPointer: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
}
