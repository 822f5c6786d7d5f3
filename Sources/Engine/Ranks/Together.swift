import Platform

/// An error of one of several processes.
public struct ErrorOfRank: DiagnosedError {
  public let rank: Int
  public let host: String
  public let error: any DiagnosedError

  public var diagnosis: Diagnosis {
    var diagnosis = error.diagnosis
    diagnosis.message = "rank \(rank) on \(host.printable): " + diagnosis.message
    return diagnosis
  }
}

/// An error that one process has found while the others wait for it in something that no message ends: it tells it, and ends them.
public struct ErrorAlone: DiagnosedError {
  public let error: any DiagnosedError
  public init(_ error: any DiagnosedError) { self.error = error }
  public var diagnosis: Diagnosis { error.diagnosis }
}

extension Collective {
  /// Does `body`, which can fail in one process alone, in all of them, and throws in all where it has failed in any: in the first that has, its
  /// error, with its rank and host where others do not have one; in the others `ranks(.elsewhere)`.
  ///
  /// `wrapped`: an error of a floor below as `body`'s.
  public func together<Value, Failure: DiagnosedError>(
    wrapped: (any DiagnosedError) -> Failure, _ body: () throws(Failure) -> Value
  ) throws(Failure) -> Value {
    if size == 1 { return try body() }
    let result: Result<Value, Failure>
    do {
      result = .success(try body())
    } catch {
      // Who is lost cannot be asked.
      if error.saysThatRanksAreLost { throw error }
      result = .failure(error)
    }
    var statuses = [Double](repeating: 0, count: size)
    if case .failure(let error) = result { statuses[rank] = Double(error.diagnosis.exit.rawValue) }
    do throws(BackendError) {
      statuses = try sum(statuses)
    } catch {
      throw wrapped(error)
    }
    guard let first = statuses.firstIndex(where: { $0 != 0 }) else { return try result.get() }
    guard first == rank, case .failure(let error) = result else {
      let status = ExitStatus(rawValue: Int32(statuses[first])) ?? .internalBug
      throw wrapped(BackendError.ranks(.elsewhere(rank: first, host: hosts[first], status)))
    }
    throw statuses.contains(0) ? wrapped(ErrorOfRank(rank: rank, host: hosts[rank], error: error)) : error
  }
}

extension BackendError {
  /// An error of a floor below, as `Collective.together` has it wrapped.
  public static func ofRank(_ error: any DiagnosedError) -> BackendError {
    error as? BackendError ?? .device(.ofRank(error.diagnosis))
  }
}

extension DiagnosedError {
  /// Whether it is that processes cannot reach each other: nothing more can be agreed on.
  public var saysThatRanksAreLost: Bool {
    ["ranks.missing", "ranks.mpi", "ranks.nccl", "ranks.hccl"].contains(diagnosis.id)
  }
  /// Whether another process has failed, and tells why.
  public var isToldElsewhere: Bool { diagnosis.id == "ranks.elsewhere" }
}
