using Discobot.Infrastructure.Native;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Cache.Shared;

public sealed class VolumeAccessTests : IDisposable
{
    private readonly string _shared = Directory.CreateTempSubdirectory("discobot-shared-").FullName;
    private readonly VolumeAccess _access;

    public VolumeAccessTests() => _access = new VolumeAccess(new SharedVolume(_shared), TimeProvider.System, NullLogger<VolumeAccess>.Instance);

    public void Dispose() => Directory.Delete(_shared, recursive: true);

    [Fact]
    public async Task What_fails_in_a_way_nobody_thought_of_ends_neither_a_request_nor_a_service()
    {
        Assert.Null(await _access.TryAsync<string>(_ => throw new ArgumentOutOfRangeException("seconds"), CancellationToken.None));
        Assert.False(await _access.TryWriteAsync(_ => throw new ArgumentOutOfRangeException("seconds")));
        Assert.Null(_access.Problem);
    }

    /// <summary>What one place of it says is no word on the whole: a member could keep everybody from writing with one file.</summary>
    [Theory]
    [InlineData(LibcException.NoSpace, true)]
    [InlineData(LibcException.ReadOnly, true)]
    [InlineData(LibcException.OverQuota, true)]
    [InlineData(LibcException.AccessDenied, false)]
    [InlineData(LibcException.NotPermitted, false)]
    [InlineData(LibcException.NotDirectory, false)]
    public async Task Only_the_directorys_own_word_is_that_it_takes_nothing(int number, bool takesNothing)
    {
        Assert.False(await _access.TryWriteAsync(_ => throw new LibcException("open", "x", number)));
        Assert.Equal(takesNothing, _access.Problem is not null);
    }

    [Fact]
    public async Task A_file_of_another_kind_than_it_should_be_is_no_word_of_the_directorys()
    {
        Assert.False(await _access.TryWriteAsync(_ => throw new IOException("x is not a regular file")));
        Assert.Null(_access.Problem);
        // As the kernel says it, and .NET.
        using var full = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write);
        Assert.False(await _access.TryWriteAsync(_ =>
        {
            DiskFailure.Write(full, "x"u8, 0);
            return default;
        }));
        Assert.NotNull(_access.Problem);
    }
}
