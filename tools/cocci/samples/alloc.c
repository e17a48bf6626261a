void *make(void)
{
    return malloc(1);
}
