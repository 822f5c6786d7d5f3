import Foundation

/// Calls `consume` with what `produce` gives for 0 ..< `count`, one after the other and in order, while `threads` other threads
/// produce the next.
///
/// `produce` is called on those threads, several calls at a time, each index once and in order; `consume` on the caller's. Items
/// are made ahead until those that wait have together `room` bytes or more, as `size` says: many small ones, so that the threads
/// seldom wait for each other, or one large one. The error of the first index that has one ends it, whichever side throws it, and no call
/// is under way any more when this returns.
public func readAhead<Item: Sendable, Failure: Error>(
  _ count: Int, threads: Int, room: Int, size: @escaping @Sendable (Item) -> Int,
  produce: (Int) throws(Failure) -> Item,
  consume: (Item) throws(Failure) -> Void
) throws(Failure) {
  let line = Line<Item, Failure>(count: count, room: room, size: size)
  let error: Failure? = withoutActuallyEscaping(produce) { produce in
    nonisolated(unsafe) let produce = produce
    let group = DispatchGroup()
    for _ in 0..<threads {
      DispatchQueue.global().async(group: group) {
        while let index = line.next() {
          do throws(Failure) {
            line.put(.success(try produce(index)), at: index)
          } catch {
            line.put(.failure(error), at: index)
            return
          }
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

/// Room for some items between threads.
private final class Line<Item: Sendable, Failure: Error>: @unchecked Sendable {
  private let condition = NSCondition()
  private let count: Int
  private let room: Int
  private let size: (Item) -> Int
  /// Those that are made and not taken.
  private var items: [Int: Result<Item, Failure>] = [:]
  private var bytes = 0
  /// The first index that nobody has begun to make.
  private var unmade = 0
  /// The first index that was not taken.
  private var untaken = 0
  private var isStopped = false

  init(count: Int, room: Int, size: @escaping (Item) -> Int) {
    self.count = count
    self.room = room
    self.size = size
  }

  private func size(of item: Result<Item, Failure>) -> Int {
    if case .success(let item) = item { size(item) } else { 0 }
  }

  /// Waits for room; the index of the item to make, or nil where nobody takes any more.
  func next() -> Int? {
    condition.lock()
    defer { condition.unlock() }
    while bytes >= room && !isStopped { condition.wait() }
    if isStopped || unmade == count { return nil }
    unmade += 1
    return unmade - 1
  }

  func put(_ item: Result<Item, Failure>, at index: Int) {
    condition.lock()
    defer { condition.unlock() }
    items[index] = item
    bytes += size(of: item)
    if index == untaken { condition.broadcast() }
  }

  /// Waits for the next item; it and all behind it that are there.
  func take() -> [Result<Item, Failure>] {
    condition.lock()
    defer { condition.unlock() }
    while items[untaken] == nil { condition.wait() }
    var taken: [Result<Item, Failure>] = []
    while let item = items.removeValue(forKey: untaken) {
      taken.append(item)
      bytes -= size(of: item)
      untaken += 1
    }
    condition.broadcast()
    return taken
  }

  func stop() {
    condition.lock()
    defer { condition.unlock() }
    isStopped = true
    condition.broadcast()
  }
}
