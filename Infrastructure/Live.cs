namespace Discobot.Infrastructure;

/// <summary>A value that is replaced whole while the program runs. Readers take <see cref="Value"/> once per request and keep it.</summary>
/// <typeparam name="T">An immutable type: rules prebuilt for matching.</typeparam>
internal sealed class Live<T>(T initial) where T : class
{
    private volatile T _value = initial;

    /// <summary>The value in force now. Never torn, never null.</summary>
    public T Value => _value;

    /// <summary>Raised after each replacement, on the thread that replaced it. Handlers must not throw.</summary>
    public event Action<T>? Changed;

    /// <summary>The same without telling anybody: what goes on stays as it was begun.</summary>
    public void ReplaceQuietly(T next) => _value = next;

    /// <summary>Puts <paramref name="next"/> in force at once: requests that begin after this call see it.</summary>
    public void Replace(T next)
    {
        _value = next;
        Changed?.Invoke(next);
    }
}
