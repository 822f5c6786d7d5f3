import Foundation
import Platform
import Synchronization

/// The processes that an MPI launcher has started.
///
/// Every call is started and then asked for (`MPI_Test`), never waited in: whoever does not come within the timeout is named. For that each process
/// tells process 0, before every call, how many it has begun.
public final class MPICollective: Collective {
  public let rank: Int
  public let size: Int
  public private(set) var hosts: [String] = []
  public var place = "start" {
    didSet { file?.write(place) }
  }
  /// The library's own words: `Open MPI v4.1.4, …`.
  public let version: String

  private let functions: MPIFunctions
  private let file: RankPlace.File?
  public let timeout: Double
  /// Calls begun here, and, in process 0, by each process as far as it has told.
  private var calls = 0
  private var callsOf: [Int]
  /// Reports under way to process 0, whose bytes must stay.
  private var reports: [(request: UInt, bytes: UnsafeMutablePointer<Int64>)] = []
  private static let reportTag: CInt = 1
  /// A process gives process 0, which can name who is missing, so much longer.
  private static let grace = 2.0
  /// Seconds in which a process asks without a pause.
  private static let patience = 0.2

  public var local: (rank: Int, size: Int) {
    (hosts[..<rank].count { $0 == hosts[rank] }, hosts.count { $0 == hosts[rank] })
  }

  /// Joins the processes that `launcher` has started. `timeout`: seconds that a process is waited for; `whenAbsent` ends this one, from another thread, where one
  /// does not join in that time.
  ///
  /// Throws `ranks` where there is no MPI, or it is not the launcher's.
  public init(
    _ launcher: Launcher, timeout: Double, whenAbsent: @escaping @Sendable (BackendError) -> Never
  ) throws(BackendError) {
    let functions: MPIFunctions
    do throws(PlatformError) {
      functions = try MPIFunctions(launcher.mpi)
    } catch {
      throw .ranks(.noMPI(launcher: launcher.name, error))
    }
    self.functions = functions
    self.timeout = timeout
    // One tells it: the launcher then ends the others, unless it is the first that is absent.
    let grace = Launcher.rank() == 0 ? 0 : Self.grace
    try Self.initialize(functions, timeout: timeout + grace) {
      whenAbsent(.ranks(.absent(of: launcher.count, seconds: Int(timeout))))
    }
    try functions.check(
      "MPI_Comm_set_errhandler", functions.setErrorHandler(functions.world, functions.errorsReturn))
    var (rank, size): (CInt, CInt) = (0, 1)
    try functions.check("MPI_Comm_rank", functions.rank(functions.world, &rank))
    try functions.check("MPI_Comm_size", functions.size(functions.world, &size))
    (self.rank, self.size) = (Int(rank), Int(size))
    version = functions.version
    file = RankPlace.File(rank: self.rank)
    file?.write(place)
    callsOf = [Int](repeating: 0, count: self.size)
    if let count = launcher.count, count != self.size {
      throw .ranks(
        .wrongLauncher(launcher: launcher.name, started: count, library: functions.abi.name, found: self.size))
    }
    hosts = [String](repeating: "", count: self.size)
    hosts = try gather(Array(ProcessInfo.processInfo.hostName.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// MPI_Init waits for all, for ever: another thread looks at the clock, and does `whenAbsent` where one does not come.
  private static func initialize(
    _ functions: MPIFunctions, timeout: Double, whenAbsent: @escaping @Sendable () -> Never
  ) throws(BackendError) {
    let watch = Watch()
    Thread.detachNewThread {
      let deadline = ContinuousClock.now + .seconds(timeout)
      while ContinuousClock.now < deadline {
        if watch.isOver.load(ordering: .relaxed) { return }
        usleep(50_000)
      }
      whenAbsent()
    }
    defer { watch.isOver.store(true, ordering: .relaxed) }
    var level: CInt = 0
    // MPI_THREAD_FUNNELED: only the thread that called it talks to it.
    try functions.check("MPI_Init_thread", functions.initialize(nil, nil, 1, &level))
  }

  private final class Watch: Sendable {
    let isOver = Atomic(false)
  }

  // MARK: Collectives

  public func sum(_ values: UnsafeMutableBufferPointer<Float>) throws(BackendError) {
    try sum(values.baseAddress, count: values.count, functions.float)
  }

  public func sum(_ values: UnsafeMutableBufferPointer<Double>) throws(BackendError) {
    try sum(values.baseAddress, count: values.count, functions.double)
  }

  private func sum(
    _ values: UnsafeMutableRawPointer?, count: Int, _ type: UInt
  ) throws(BackendError) {
    guard let values, count > 0, let count = CInt(exactly: count) else { return }
    try complete("MPI_Iallreduce") { request in
      functions.allReduce(functions.inPlace, values, count, type, functions.sum, functions.world, request)
    }
  }

  public func broadcast(_ bytes: [UInt8]) throws(BackendError) -> [UInt8] {
    // The count first: only process 0 knows it.
    let count = Int(try sum([rank == 0 ? Double(bytes.count) : 0])[0])
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 8)
    defer { buffer.deallocate() }
    if rank == 0 { buffer.copyBytes(from: bytes) }
    guard let length = CInt(exactly: count), length > 0 else { return [] }
    try complete("MPI_Ibcast") { request in
      functions.broadcast(buffer.baseAddress, length, functions.byte, 0, functions.world, request)
    }
    return [UInt8](buffer[..<count])
  }

  public func barrier() throws(BackendError) {
    try complete("MPI_Ibarrier") { request in functions.barrier(functions.world, request) }
  }

  public func abort(_ status: Int32) -> Never {
    _ = functions.abort(functions.world, status)
    _exit(status)
  }

  public func finish() {
    // Nothing that was sent may be left unread. Whoever cannot come any more has been told of before.
    do throws(BackendError) {
      try barrier()
      let clock = ContinuousClock()
      let began = clock.now
      while rank == 0, callsOf.dropFirst().contains(where: { $0 < calls }), clock.now - began < .seconds(1) {
        try listen()
      }
    } catch {
      abort(error.diagnosis.exit.rawValue)
    }
    settleReports()
    _ = functions.finalize()
  }

  // MARK: Waiting

  /// Begins a call and asks until it is done.
  ///
  /// Throws `ranks(.missing)` after the timeout.
  private func complete(
    _ name: String, _ begin: (UnsafeMutablePointer<UInt>) -> CInt
  ) throws(BackendError) {
    calls += 1
    try report()
    var request: UInt = 0
    try functions.check(name, begin(&request))
    let clock = ContinuousClock()
    let began = clock.now
    var asked = 0
    var isLate = false
    while true {
      var isDone: CInt = 0
      try functions.check(name, functions.test(&request, &isDone, functions.ignoredStatus))
      if isDone != 0 { return }
      asked += 1
      // Numbers move only while somebody asks, so who has just come asks without a pause; who waits long leaves the processor to the others.
      if isLate { usleep(500) } else { sched_yield() }
      guard asked % (isLate ? 50 : 500) == 0 else { continue }
      try listen()
      let seconds = (clock.now - began) / .seconds(1)
      isLate = seconds > Self.patience
      if seconds > timeout + (rank == 0 ? 0 : Self.grace) { throw missing() }
    }
  }

  private func missing() -> BackendError {
    // Others know of process 0 alone.
    let late = rank == 0 ? callsOf.indices.filter { $0 != 0 && callsOf[$0] < calls } : [0]
    if late.isEmpty {
      // All have told that they came: one of the others was stopped, or lost its way, in the middle of it.
      let others = callsOf.indices.dropFirst()
      return .ranks(.stuck(ranks: others.map { ($0, hosts[$0]) }, place: place, seconds: Int(timeout)))
    }
    return .ranks(
      .missing(ranks: late.map { ($0, hosts[$0]) }, place: place, seconds: Int(timeout)))
  }

  /// Tells process 0 that this one has begun its next call.
  private func report() throws(BackendError) {
    if rank == 0 { return try listen() }
    settleReports()
    let bytes = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
    bytes.pointee = Int64(calls)
    var request: UInt = 0
    try functions.check(
      "MPI_Isend", functions.send(bytes, 8, functions.byte, 0, Self.reportTag, functions.world, &request))
    reports.append((request, bytes))
  }

  private func settleReports() {
    reports.removeAll { report in
      var (request, isDone) = (report.request, CInt(0))
      guard functions.test(&request, &isDone, functions.ignoredStatus) == 0, isDone != 0 else { return false }
      report.bytes.deallocate()
      return true
    }
  }

  /// Takes what the others have told.
  private func listen() throws(BackendError) {
    guard rank == 0 else { return }
    while true {
      var isThere: CInt = 0
      // Room for either interface's status.
      let status = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
      defer { status.deallocate() }
      try functions.check(
        "MPI_Iprobe",
        functions.probe(functions.abi.anySource, Self.reportTag, functions.world, &isThere, status))
      if isThere == 0 { return }
      let source = status.load(fromByteOffset: functions.abi.statusSource, as: CInt.self)
      var told: Int64 = 0
      try functions.check(
        "MPI_Recv", functions.receive(&told, 8, functions.byte, source, Self.reportTag, functions.world, status))
      callsOf[Int(source)] = Int(told)
    }
  }
}
