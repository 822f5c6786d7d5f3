import Foundation

/// Calls `consume` with what `produce` gives for 0 ..< `count`, one after the other and in order, while another thread produces the
/// next.
///
/// `produce` is called on that one thread, `consume` on the caller's. At most two items are there at a time beside the one that is
/// consumed. The first error of either ends it, and no call is under way any more when this returns.
public func readAhead<Item: Sendable, Failure: Error>(
  _ count: Int, produce: (Int) throws(Failure) -> Item, consume: (Item) throws(Failure) -> Void
) throws(Failure) {
  let line = Line<Item, Failure>()
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
    for _ in 0..<count {
      do throws(Failure) {
        try consume(try line.take().get())
      } catch {
        return error
      }
    }
    return nil
  }
  if let error { throw error }
}

/// Room for two items between two threads.
private final class Line<Item: Sendable, Failure: Error>: @unchecked Sendable {
  private let condition = NSCondition()
  private var items: [Result<Item, Failure>] = []
  private var isStopped = false

  private static var room: Int { 2 }

  /// Waits for room; false where nobody takes any more.
  func put(_ item: Result<Item, Failure>) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while items.count == Self.room && !isStopped { condition.wait() }
    if isStopped { return false }
    items.append(item)
    condition.signal()
    return true
  }

  /// Waits for an item.
  func take() -> Result<Item, Failure> {
    condition.lock()
    defer { condition.unlock() }
    while items.isEmpty { condition.wait() }
    condition.signal()
    return items.removeFirst()
  }

  func stop() {
    condition.lock()
    defer { condition.unlock() }
    isStopped = true
    condition.signal()
  }
}
