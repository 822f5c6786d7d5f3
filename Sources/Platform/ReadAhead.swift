import Foundation

/// Calls `consume` with what `produce` gives for 0 ..< `count`, one after the other and in order, while another thread produces the
/// next.
///
/// `produce` is called on that one thread, `consume` on the caller's. Items are made ahead until those that wait have together
/// `room` bytes or more, as `size` says: many small ones, so that the threads seldom wait for each other, or one large one. The
/// first error of either ends it, and no call is under way any more when this returns.
public func readAhead<Item: Sendable, Failure: Error>(
  _ count: Int, room: Int, size: @escaping @Sendable (Item) -> Int, produce: (Int) throws(Failure) -> Item,
  consume: (Item) throws(Failure) -> Void
) throws(Failure) {
  let line = Line<Item, Failure>(room: room, size: size)
  let error: Failure? = withoutActuallyEscaping(produce) { produce in
    nonisolated(unsafe) let produce = produce
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      for index in 0..<count {
        do throws(Failure) {
          guard line.put(.success(try produce(index))) else { return }
        } catch {
          _ = line.put(.failure(error))
          return
        }
      }
    }
    defer {
      line.stop()
      group.wait()
    }
    var left = count
    while left > 0 {
      let items = line.take()
      left -= items.count
      do throws(Failure) {
        for item in items { try consume(try item.get()) }
      } catch {
        return error
      }
    }
    return nil
  }
  if let error { throw error }
}

/// Room for some items between two threads.
private final class Line<Item: Sendable, Failure: Error>: @unchecked Sendable {
  private let condition = NSCondition()
  private let room: Int
  private let size: (Item) -> Int
  private var items: [Result<Item, Failure>] = []
  private var bytes = 0
  private var isStopped = false

  init(room: Int, size: @escaping (Item) -> Int) {
    self.room = room
    self.size = size
  }

  private func size(of item: Result<Item, Failure>) -> Int {
    if case .success(let item) = item { size(item) } else { 0 }
  }

  /// Waits for room; false where nobody takes any more.
  func put(_ item: Result<Item, Failure>) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while bytes >= room && !isStopped { condition.wait() }
    if isStopped { return false }
    items.append(item)
    bytes += size(of: item)
    condition.signal()
    return true
  }

  /// Waits for items: all that are there.
  func take() -> [Result<Item, Failure>] {
    condition.lock()
    defer { condition.unlock() }
    while items.isEmpty { condition.wait() }
    let taken = items
    items = []
    bytes = 0
    condition.signal()
    return taken
  }

  func stop() {
    condition.lock()
    defer { condition.unlock() }
    isStopped = true
    condition.signal()
  }
}
